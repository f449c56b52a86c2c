//! The command line: one file a command. The only module that prints.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this module talks to people")]

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::app::StartError;
use crate::config::ConfigErrors;
use crate::generation::BuildErrors;
use crate::listener::ListenError;

mod certs;
mod check;
mod demo;
mod doctor;
mod explain;
mod generate;
mod import_nginx;
mod page;
mod record;
mod reload;
mod run;
mod send;
mod status;

/// Lets in only what Meta really sent: client certificate, payload signature, verification requests.
#[derive(Debug, Parser)]
#[command(name = "hubgate", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Reload(reload::Arguments),
    Status(status::Arguments),
    Check(check::Arguments),
    Explain(explain::Arguments),
    Doctor(Box<doctor::Arguments>),
    Demo(demo::Arguments),
    Send(Box<send::Arguments>),
    Certs(certs::Arguments),
    Generate(generate::Arguments),
    ImportNginx(import_nginx::Arguments),
}

/// Runs the command that the arguments name; errors go to standard error with their causes.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
        Command::Certs(arguments) => certs::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments, &Arguments::command()),
        Command::ImportNginx(arguments) => import_nginx::run(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

/// Faults that have a code are told with it, a line each.
fn complain(error: &anyhow::Error) {
    let told = None
        .or_else(|| Some(error.downcast_ref::<ConfigErrors>()?.fault_reports()))
        .or_else(|| Some(error.downcast_ref::<BuildErrors>()?.fault_reports()))
        .or_else(|| Some(error.downcast_ref::<StartError>()?.fault_reports()))
        .or_else(|| Some(error.downcast_ref::<ListenError>()?.fault_reports()));
    if let Some(told) = told {
        for fault in told {
            eprintln!("hubgate: {fault}");
        }
        return;
    }
    eprintln!("hubgate: {error:#}");
}

/// Loads a configuration; every fault of it is in the error, a line each.
fn load(path: &Path) -> anyhow::Result<crate::config::Config> {
    Ok(crate::config::Config::load(path)?)
}
