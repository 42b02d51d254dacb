//! A guest's sound.

use super::{Answer, print};
use crate::app::App;
use crate::args::{SoundArgs, Switch};
use crate::exit::Code;
use crate::run::Signals;
use crate::target::Target;
use anyhow::{Context, Result, bail};
use sampan_control::{Request, SoundInfo};
use sampan_session::audio::{Format, PIECE, Pacer, RATE, SILENCE, Sink, Source, WavSink, WavSource};
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep};

/// Between two pieces of a file that is sent.
const PAUSE: Duration = Duration::from_millis(10);

/// `sampan sound …`.
pub fn sound(args: &SoundArgs, as_json: bool) -> Result<Code> {
    // Before anything is changed.
    let source = args.from.as_deref().map(open).transpose()?;
    let target = args.to.as_deref().map(Target::of).transpose()?;
    if target.as_ref().is_some_and(Target::is_stdout) {
        bail!("a WAV file says in its beginning how long it is, which stdout cannot be told: name a file");
    }
    if args.seconds.is_some() && source.is_none() && target.is_none() {
        bail!("--for says how long --to or --from go on: name a file for one of them");
    }
    let app = App::open()?;
    set(&app, args)?;
    if source.is_some() || target.is_some() {
        // Before a file is begun, which may take the place of another.
        drop(app.running(&args.vm.vm)?);
    }
    let Some(target) = target else {
        return match source {
            None => print(show(&app, &args.vm.vm), as_json),
            Some(source) => {
                let told = exchange(&app, args, Some(source), None)?;
                finish(&told, as_json)
            }
        };
    };
    let told = target.fill(|name| {
        let cannot = || format!("{} cannot be written", name.display());
        let file = File::create(name).with_context(cannot)?;
        let sink = WavSink::new(BufWriter::new(file)).with_context(cannot)?;
        exchange(&app, args, source, Some(sink))
    })?;
    finish(&told, as_json)
}

struct Told {
    /// Frames that were written.
    heard: u64,
    /// The greatest sample that was.
    peak: f32,
    code: Code,
}

fn finish(told: &Told, as_json: bool) -> Result<Code> {
    let seconds = told.heard as f64 / f64::from(RATE);
    let text = match told.heard {
        0 => String::new(),
        _ if told.peak == 0.0 => format!("{seconds:.1} s of silence"),
        _ => format!("{seconds:.1} s, at most {:.1} dB", 20.0 * told.peak.log10()),
    };
    let code = print(Ok(Answer::new(json!({ "seconds": seconds, "peak": told.peak }), text)), as_json)?;
    Ok(if told.code == Code::Done { code } else { told.code })
}

fn open(name: &Path) -> Result<WavSource<BufReader<File>>> {
    let cannot = || format!("{} cannot be played", name.display());
    let file = sampan_library::open_named(name).with_context(cannot)?;
    WavSource::new(BufReader::new(file)).with_context(cannot)
}

fn set(app: &App, args: &SoundArgs) -> Result<()> {
    let muted = (args.mute || args.unmute).then_some(args.mute);
    let microphone = args.microphone.map(|switch| switch == Switch::On);
    if args.volume.is_none() && muted.is_none() && microphone.is_none() {
        return Ok(());
    }
    let machine = app.machine(&args.vm.vm)?;
    app.wait(machine.tell(Request::Sound { volume: args.volume, muted, microphone }))
}

fn show(app: &App, vm: &str) -> Result<Answer> {
    let machine = app.machine(vm)?;
    let status = if machine.runs() { app.wait(machine.status())? } else { None };
    let info = match status.and_then(|status| status.facts) {
        Some(facts) => facts.sound,
        None => {
            let sound = machine.document()?.sound;
            (sound.device != sampan_config::SoundDevice::None).then_some(SoundInfo {
                playing: false,
                recording: false,
                volume: sound.volume,
                muted: sound.muted,
                microphone: sound.microphone,
            })
        }
    };
    let text = info.map_or_else(|| "no sound card".to_owned(), |info| words(&info));
    Ok(Answer::new(json!({ "sound": info }), text))
}

fn words(info: &SoundInfo) -> String {
    let mut words = vec![format!("volume {} %", info.volume)];
    words.extend(info.muted.then(|| "muted".to_owned()));
    words.push(if info.microphone { "may listen to the microphone" } else { "no microphone" }.to_owned());
    words.extend(info.playing.then(|| "plays".to_owned()));
    words.extend(info.recording.then(|| "records".to_owned()));
    words.join(", ")
}

/// Both ways, until the time is over, the file has been sent, a signal comes, or the machine ends.
fn exchange(
    app: &App,
    args: &SoundArgs,
    source: Option<WavSource<BufReader<File>>>,
    sink: Option<WavSink<BufWriter<File>>>,
) -> Result<Told> {
    let client = app.running(&args.vm.vm)?.into_client()?;
    let (hears, speaks) = (sink.is_some(), source.is_some());
    let (stream, before) = app.wait(async { Ok(client.sound(hears, speaks).await?) })?;
    let limit = args.seconds.map(Duration::from_secs_f64);
    app.block_on(async {
        let mut signals = Signals::new()?;
        let (from, to) = stream.into_split();
        let mut ear = Ear { sink, told: Told { heard: 0, peak: 0.0, code: Code::Done }, rest: before };
        let over = async {
            match limit {
                Some(limit) => sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let speaking = async {
            match source {
                Some(source) => speak(source, to).await?,
                // Without this the other side would take it for the end.
                None => std::future::pending::<()>().await,
            }
            // The machine ends the connection of a client that has sent all and hears nothing.
            std::future::pending().await
        };
        let code = tokio::select! {
            ended = ear.hear(from) => ended.map(|()| Code::Done),
            failed = speaking => failed,
            () = over => Ok(Code::Done),
            code = signals.first() => Ok(code),
        };
        // What was heard until then is kept, whatever ended it.
        let told = ear.finish();
        Ok(Told { code: code?, ..told? })
    })
}

struct Ear {
    sink: Option<WavSink<BufWriter<File>>>,
    told: Told,
    /// Bytes that are not written yet: the beginning of a frame.
    rest: Vec<u8>,
}

impl Ear {
    /// Writes what comes, until the other side ends.
    async fn hear(&mut self, mut from: OwnedReadHalf) -> Result<()> {
        let mut bytes = vec![0; 16 << 10];
        let mut frames = Vec::new();
        loop {
            frames.clear();
            let left = Format::WIRE.decode(&self.rest, &mut frames);
            self.rest.drain(..self.rest.len() - left);
            if let Some(sink) = &mut self.sink {
                sink.write(&frames)?;
                self.told.heard += frames.len() as u64;
                self.told.peak =
                    frames.iter().flatten().fold(self.told.peak, |peak, sample| peak.max(sample.abs()));
            }
            match from.read(&mut bytes).await.context("the machine is gone")? {
                0 => return Ok(()),
                read => self.rest.extend_from_slice(&bytes[..read]),
            }
        }
    }

    fn finish(mut self) -> Result<Told> {
        if let Some(sink) = &mut self.sink {
            sink.finish()?;
        }
        Ok(self.told)
    }
}

/// Sends a file in real time.
async fn speak(mut source: WavSource<BufReader<File>>, mut to: OwnedWriteHalf) -> Result<()> {
    let (since, mut pacer) = (Instant::now(), Pacer::new(RATE));
    let mut frames = [SILENCE; PIECE];
    let mut bytes = Vec::new();
    loop {
        let due = pacer.take(since.elapsed(), 1.0, PIECE as u64);
        if due < PIECE as u64 / 2 {
            // Less than a piece, which the next one brings along.
            sleep(PAUSE).await;
        }
        let read = source.read(&mut frames[..due as usize])?;
        if read == 0 && due > 0 {
            to.shutdown().await.context("the machine is gone")?;
            return Ok(());
        }
        bytes.clear();
        Format::WIRE.encode(&frames[..read], &mut bytes);
        to.write_all(&bytes).await.context("the machine is gone")?;
    }
}
