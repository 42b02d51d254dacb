//! Work that a page waits for, and why it failed.

use crate::core::{Core, core, runtime};
use napi::bindgen_prelude::{Env, Object, PromiseRaw, ToNapiValue, Unknown};
use napi::{JsError, JsValue};
use sampan_manager::{Error, Sentence, Unfit};
use sampan_message::{Coded, Message};
use std::collections::HashMap;
use std::sync::Arc;

/// What work comes to.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// Why a call failed, as its page is told.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Message);

impl<E: Coded> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.message())
    }
}

impl Failure {
    /// One of this module's own.
    pub(crate) fn saying(sentence: &Sentence) -> Self {
        Self(Message::saying(sentence))
    }
}

/// A promise of what `work` comes to. It is done on the runtime; nothing waits here. A panic in it rejects the promise.
pub(crate) fn promise<'env, T, F>(
    env: &'env Env,
    work: impl FnOnce(Arc<Core>) -> F + Send + 'static,
) -> napi::Result<PromiseRaw<'env, T>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = Outcome<T>> + Send + 'static,
{
    free_promise(env, async move { work(core()?).await })
}

/// The same for work that needs no core.
pub(crate) fn free_promise<'env, T>(
    env: &'env Env,
    work: impl Future<Output = Outcome<T>> + Send + 'static,
) -> napi::Result<PromiseRaw<'env, T>>
where
    T: ToNapiValue + Send + 'static,
{
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Err(to_js(env, &error.message())),
    };
    let (deferred, promise) = env.create_deferred()?;
    let promise = PromiseRaw::new(env.raw(), promise.raw());
    runtime.spawn(async move {
        // A task of its own, so that a panic ends it alone.
        let done = tokio::spawn(work).await.unwrap_or_else(|_| Err(Error::Thread.into()));
        deferred.resolve(move |env: Env| done.map_err(|Failure(message)| to_js(&env, &message)));
    });
    Ok(promise)
}

/// What the engine did not do with an argument.
pub(crate) fn refused_by_engine(argument: &'static str, error: &napi::Error) -> Message {
    Error::unfit(argument, &Unfit::Engine { why: error.to_string() }).message()
}

/// A JavaScript `Error` with the message's text, its `code` and its `params`.
pub(crate) fn to_js(env: &Env, message: &Message) -> napi::Error {
    let error: Unknown<'_> =
        JsError::from(napi::Error::new(&*message.code, &message.message)).into_unknown(*env);
    let with_params = || -> napi::Result<Object<'_>> {
        let mut object = error.coerce_to_object()?;
        object.set("params", params(message))?;
        Ok(object)
    };
    match with_params() {
        Ok(object) => object.to_unknown().into(),
        Err(error) => error,
    }
}

/// The values of a message.
pub(crate) fn params(message: &Message) -> HashMap<String, napi::Either<String, f64>> {
    let value = |value: &sampan_message::Value| match value {
        sampan_message::Value::Text(text) => napi::Either::A(text.clone()),
        sampan_message::Value::Number(number) => napi::Either::B(*number as f64),
    };
    message.params.iter().map(|(name, of)| (name.to_owned(), value(of))).collect()
}
