//! The `sampan` program: runs virtual machines and talks to the ones that run.
//!
//! Answers go to stdout, progress and errors to stderr; the exit codes are in `sampan --help`.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod app;
mod args;
mod bar;
mod ctl;
mod demo;
mod doctor;
mod exit;
mod hints;
mod interrupt;
mod machine;
mod manual;
mod run;
mod serve;
mod supervisor;
mod target;
mod text;
mod vm;
mod words;

use args::{Args, Command};
use clap::Parser;
use exit::Code;
use sampan_control::Request;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(words) => return told(&words),
    };
    let level = match args.verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // What libraries say of peers that vanish is of no use to a person; their errors reach us as values.
    let filter = if args.verbose < 3 {
        format!("{level},rtc=error,webrtc=error,zbus=error,sampan_download=error")
    } else {
        level.into()
    };
    let mut logger = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(filter));
    // What is logged quotes guests and servers, too.
    logger.target(env_logger::Target::Pipe(match args.command {
        Command::Supervise(_) => Box::new(supervisor::BoundedLog::default()),
        _ => Box::new(words::Log),
    }));
    logger.init();
    let outcome = act(args.command, args.json);
    let code = outcome.unwrap_or_else(|error| {
        words::tell(format_args!("sampan: {}", words::of_error(&error)));
        Code::CouldNotStart
    });
    let failure = words::stdout_failure();
    if let Some(error) = failure {
        words::tell(format_args!("sampan: stdout cannot be written: {error}"));
    }
    match code {
        // What was asked for has reached nobody.
        Code::Done | Code::Guest(0) if failure.is_some() => Code::CouldNotStart,
        code => code,
    }
    .into()
}

/// The help that was asked for, or what is wrong with the arguments.
fn told(words: &clap::Error) -> ExitCode {
    let asked_for = !words.use_stderr();
    match words.print() {
        Err(error) if asked_for && error.kind() != std::io::ErrorKind::BrokenPipe => {
            words::tell(format_args!("sampan: stdout cannot be written: {error}"));
            Code::CouldNotStart.into()
        }
        // 0 or 2.
        _ => ExitCode::from(u8::try_from(words.exit_code()).unwrap_or(2)),
    }
}

fn act(command: Command, json: bool) -> anyhow::Result<Code> {
    let answer = match command {
        Command::Run(args) => return run::run(*args),
        Command::Demo(args) => return demo::run_args(args).and_then(run::run),
        Command::Ctl(args) => return ctl::ctl(&args, json),
        Command::Doctor { vm: None } => return doctor::doctor(json),
        Command::Doctor { vm: Some(vm) } => vm::doctor(&vm),
        Command::Licenses => return manual::licenses(),
        Command::Console(vm) => return vm::console(&vm.vm),
        Command::Serve(args) => return serve::serve(&args),
        Command::Supervise(args) => return supervisor::supervise(args),
        Command::Completion { shell } => return manual::completion(shell),
        Command::Man => return manual::man(),
        Command::New(args) => vm::new(*args),
        Command::Set(args) => vm::set(&args),
        Command::List(args) if args.watch => return vm::watch_list(json),
        Command::List(_) => vm::list(),
        Command::Show(vm) => vm::show(&vm.vm),
        Command::Status(vm) => vm::status(&vm.vm),
        Command::Start(args) => vm::start(&args),
        Command::Stop(args) => vm::stop(&args),
        Command::Pause(vm) => vm::ask(&vm.vm, &Request::Pause),
        Command::Resume(vm) => vm::ask(&vm.vm, &Request::Resume),
        Command::Reset(vm) => vm::ask(&vm.vm, &Request::Reset),
        Command::Suspend(vm) => vm::suspend(&vm.vm),
        Command::Snapshot(args) => vm::snapshot(&args.action),
        Command::Disk(args) => vm::disk(&args.action),
        Command::Clone(args) => vm::clone(&args),
        Command::Export(args) => vm::export(&args),
        Command::Import(args) => vm::import(&args),
        Command::Delete(args) => vm::delete(&args),
        Command::Restore(args) => vm::restore(&args),
        Command::EmptyTrash => vm::empty_trash(),
        Command::Images(args) => vm::images(&args),
        Command::Download(args) => vm::download(&args),
        Command::Logs(args) => return vm::logs(&args, json),
        Command::Screenshot { vm, file, display } => vm::screenshot(&vm.vm, &file, display.display),
        Command::Type { vm, text } => vm::ask(&vm.vm, &Request::Type { text }),
        Command::Sound(args) => return vm::sound(&args, json),
        Command::Clipboard(args) => return vm::clipboard(&args.action, json),
        Command::Exec(args) => return vm::exec(&args, json),
        Command::File(args) => vm::file(&args.action),
        Command::Forward(args) => vm::forward(&args.action),
        Command::Share(args) => vm::share(&args.action),
        Command::Stream(args) => return vm::stream(&args.action, json),
        Command::Vnc(args) => vm::vnc(&args),
        Command::Mode(args) => vm::mode(&args),
    };
    vm::print(answer, json)
}
