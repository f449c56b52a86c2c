//! The demo's table: sent, expected, happened, reason, time.

use std::io::IsTerminal;
use std::time::Instant;

use super::cases::{Case, CaseOutcome, Expected};
use super::counters::Judgement;
use hubgate_testkit::sender::SendError;

/// A table whose rows are printed as they come.
pub(super) struct CaseTable {
    begin: Instant,
    rows: usize,
    wrong: usize,
    coloured: bool,
}

impl CaseTable {
    /// Prints the heading.
    pub(super) fn begin() -> Self {
        line("", ["sent", "expected", "happened", "reason", "time"]);
        // https://no-color.org: set and not empty means no colour.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let coloured = std::io::stdout().is_terminal() && !unwanted;
        Self { begin: Instant::now(), rows: 0, wrong: 0, coloured }
    }

    /// Prints the title of the rows that follow.
    pub(super) fn section(&mut self, title: &str) {
        println!("\n{title}");
    }

    /// Prints one call and whether it went as it should.
    pub(super) fn row(&mut self, case: &Case, outcome: &CaseOutcome) {
        let well = outcome.is(&case.expected);
        self.rows += 1;
        self.wrong += usize::from(!well);
        let mark = match (well, self.coloured) {
            (true, false) => "ok",
            (false, false) => "WRONG",
            (true, true) => "\x1b[32mok\x1b[0m",
            (false, true) => "\x1b[1;31mWRONG\x1b[0m",
        };
        let milliseconds = outcome.elapsed.as_secs_f64() * 1000.0;
        line(
            mark,
            [
                &case.sent,
                &expected(&case.expected),
                &happened(&case.expected, outcome),
                &reason(outcome),
                &format!("{milliseconds:.1} ms"),
            ],
        );
    }

    /// Prints the sum; whether all went as it should.
    pub(super) fn end(self) -> bool {
        let seconds = self.begin.elapsed().as_secs_f64();
        if self.wrong == 0 {
            println!("\nAll {} as they should be, in {seconds:.1} s.", self.rows);
        } else {
            println!("\n{} of {} WRONG, in {seconds:.1} s.", self.wrong, self.rows);
        }
        self.wrong == 0
    }
}

fn line(mark: &str, [sent, expected, happened, reason, time]: [&str; 5]) {
    println!("  {sent:<49} {expected:<20} {happened:<27} {reason:<25} {time:>9}  {mark}");
}

fn expected(expected: &Expected) -> String {
    match expected {
        Expected::Delivered(_) => "200, delivered".into(),
        Expected::DeliveredWithout(..) => "200, header dropped".into(),
        Expected::Echoed(_) => "200, challenge".into(),
        Expected::ConnectionRefused(_) => "no handshake".into(),
        Expected::Refused(refusal) => refusal.status().as_str().into(),
    }
}

fn happened(expected: &Expected, outcome: &CaseOutcome) -> String {
    let deliveries = match outcome.deliveries() {
        0 => "",
        1 => ", delivered",
        _ => ", delivered repeatedly",
    };
    let answer = match &outcome.answer {
        Ok(answer) => answer,
        Err(error) => return format!("{}{deliveries}", failure(error)),
    };
    match expected {
        Expected::Echoed(challenge) if answer.body == *challenge && answer.is_success() => {
            format!("200, challenge{deliveries}")
        }
        Expected::DeliveredWithout(_, text) if outcome.was_passed_on(text) => {
            format!("{}, header passed on", answer.status.as_str())
        }
        Expected::DeliveredWithout(..) if outcome.deliveries() == 1 => {
            format!("{}, header dropped", answer.status.as_str())
        }
        Expected::Delivered(_)
        | Expected::DeliveredWithout(..)
        | Expected::Echoed(_)
        | Expected::ConnectionRefused(_)
        | Expected::Refused(_) => format!("{}{deliveries}", answer.status.as_str()),
    }
}

fn failure(error: &SendError) -> String {
    match error.tls_alert() {
        Some(alert) => format!("alert {alert}"),
        None if error.is_timeout() => "timed out".into(),
        None if error.is_connect() => "not connected".into(),
        None => "broke off".into(),
    }
}

/// The proxy's own label for it, and for whoever was let in the anchor that vouched.
fn reason(outcome: &CaseOutcome) -> String {
    let judgements = outcome.judgements.iter().map(|judgement| match judgement {
        Judgement::EventVerified => "event verified",
        Judgement::TokenVerified => "token verified",
        Judgement::Refused(label) => label.as_str(),
    });
    let judgements: Vec<_> = judgements.collect();
    match (judgements.as_slice(), &outcome.anchor) {
        ([], _) => "none given".into(),
        (["event verified" | "token verified"], Some(anchor)) => format!("verified, {anchor}"),
        (several, _) => several.join(", "),
    }
}
