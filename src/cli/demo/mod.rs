//! `hubgate demo`: the whole job, with nothing configured.
//!
//! Makes a set-up (upstream, proxy, throw-away PKI, a real configuration file in a directory of its
//! own), plays Meta, then plays attackers, and compares what happened with what ought to.

use std::process::ExitCode;

use anyhow::Context;

use self::setup::DemoSetup;
use self::table::CaseTable;
use crate::app::signals::Signals;

mod cases;
mod counters;
mod keep;
mod setup;
mod table;
mod upstream;

/// Show the whole job with nothing configured: Meta gets through, attackers do not.
#[derive(Debug, clap::Args)]
#[command(after_help = "The exit code is 0 only if all went as it should.")]
pub(super) struct Arguments {
    /// Leave everything running afterwards, and print curl lines to try.
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::catch().context("cannot catch signals")?;
        let demo_setup = DemoSetup::set().await?;
        // Whatever ends the demo, its set-up is cleared: it holds keys.
        let played = tokio::select! {
            played = play(&demo_setup, arguments.keep) => played,
            _stop = signals.next() => Err(anyhow::anyhow!("interrupted")),
        };
        if arguments.keep && played.is_ok() {
            signals.next().await;
        }
        demo_setup.clear().await;
        played
    })
}

async fn play(demo_setup: &DemoSetup, keep: bool) -> anyhow::Result<ExitCode> {
    println!("hubgate at https://{}{}, which trusts:", demo_setup.address, setup::PATH);
    println!("  an anchor shaped like Meta's CA, and one shaped like DigiCert's root\n");

    let mut table = CaseTable::begin();
    for (title, cases) in [
        ("Meta calls", cases::of_meta(demo_setup)?),
        ("Attackers call", cases::of_attackers(demo_setup)?),
    ] {
        table.section(title);
        for case in cases {
            let outcome = case.play(demo_setup).await?;
            table.row(&case, &outcome);
        }
    }
    let all_well = table.end();
    if keep {
        keep::explain(demo_setup)?;
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn meta_gets_through_attackers_do_not_and_nothing_is_left_behind() {
        let demo_setup = DemoSetup::set().await.expect("a set-up");
        let directory = demo_setup.directory().to_owned();
        let played = play(&demo_setup, false).await.expect("it runs");
        assert_eq!(played, ExitCode::SUCCESS);
        demo_setup.clear().await;
        assert!(!directory.exists());
    }
}
