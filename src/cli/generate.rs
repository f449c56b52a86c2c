//! `hubgate generate`: what a package holds besides the program. Hidden, for whoever packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, Subcommand};
use clap_complete::Shell;

/// Write man pages or shell completions into a directory.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A page for the program, and one for each of its commands.
    Man {
        /// Is made if it is not there.
        directory: PathBuf,
    },
    /// For bash, fish and zsh, under the names where they look.
    Completions {
        /// Is made if it is not there.
        directory: PathBuf,
    },
}

pub(super) fn run(arguments: &Arguments, command: &Command) -> anyhow::Result<ExitCode> {
    let (What::Man { directory } | What::Completions { directory }) = &arguments.what;
    let cannot = || format!("cannot write into `{}`", directory.display());
    fs::create_dir_all(directory).with_context(cannot)?;
    match arguments.what {
        What::Man { .. } => man(command, directory),
        What::Completions { .. } => completions(command, directory),
    }
    .with_context(cannot)?;
    Ok(ExitCode::SUCCESS)
}

/// Hidden commands have no page.
fn man(command: &Command, directory: &Path) -> std::io::Result<()> {
    clap_mangen::generate_to(command.clone(), directory)
}

fn completions(command: &Command, directory: &Path) -> std::io::Result<()> {
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command.clone(), command.get_name(), directory)?;
    }
    Ok(())
}
