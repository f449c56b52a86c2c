//! A log line as JSON: one object, with the fields of the event at its top level.
//!
//! The formatter of `tracing-subscriber` builds a map for each event and serialises that, which
//! costs five times as much, and there is one line a request.

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats events so.
#[derive(Default)]
pub(crate) struct JsonLine {
    clock: Mutex<Clock>,
}

/// The second of the last line, which is nearly always that of the next one, too.
#[derive(Default)]
struct Clock {
    second: u64,
    /// `2026-11-24T08:00:00`
    shown: String,
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        // The writer is called through a pointer: once a line, not once a word.
        let mut line = String::with_capacity(USUAL_BYTES);
        line.push_str("{\"timestamp\":\"");
        self.write_time(&mut line)?;
        line.push_str("\",\"level\":\"");
        line.push_str(metadata.level().as_str());
        line.push_str("\",\"target\":\"");
        line.push_str(metadata.target());
        line.push('"');
        let mut fields = JsonFields { line, outcome: Ok(()) };
        event.record(&mut fields);
        fields.outcome?;
        fields.line.push_str("}\n");
        writer.write_str(&fields.line)
    }
}

/// Most records of a request fit.
const USUAL_BYTES: usize = 768;

impl JsonLine {
    fn write_time(&self, line: &mut String) -> fmt::Result {
        let now = since_epoch();
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if clock.second != now.as_secs() {
            let mut shown = String::new();
            SystemTime.format_time(&mut Writer::new(&mut shown))?;
            // The formatter looks at the clock itself, which may have moved on.
            if since_epoch().as_secs() != now.as_secs() {
                line.push_str(&shown);
                return Ok(());
            }
            shown.truncate("2026-11-24T08:00:00".len());
            *clock = Clock { second: now.as_secs(), shown };
        }
        line.push_str(&clock.shown);
        drop(clock);
        let mut digits = *b".000000Z";
        put_digits(&mut digits, 1..7, now.subsec_micros());
        line.push_str(str::from_utf8(&digits).unwrap_or_default());
        Ok(())
    }
}

fn since_epoch() -> Duration {
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Writes the last digits of `number` into `place`.
fn put_digits(digits: &mut [u8], place: Range<usize>, mut number: u32) {
    for digit in digits.get_mut(place).unwrap_or_default().iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// Writes each field as it is visited. Names are ours and need no escaping.
struct JsonFields {
    line: String,
    outcome: fmt::Result,
}

impl JsonFields {
    /// The field's name; its value is to follow.
    fn name(&mut self, field: &Field) -> &mut String {
        self.line.push_str(",\"");
        self.line.push_str(field.name());
        self.line.push_str("\":");
        &mut self.line
    }

    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let written = fmt::write(self.name(field), value);
        self.outcome = self.outcome.and(written);
    }
}

impl Visit for JsonFields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for the others.
        let value = if value.is_finite() { value } else { 0.0 };
        // Durations have three digits behind the point, and the library's search for the shortest
        // form is long.
        let thousandths = (value * 1000.0).round();
        if (0.0..MAX_THOUSANDTHS).contains(&thousandths) && thousandths / 1000.0 == value {
            return push_thousandths(self.name(field), thousandths);
        }
        self.put(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let line = self.name(field);
        line.push('"');
        push_escaped(line, value);
        line.push('"');
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let line = self.name(field);
        line.push('"');
        let written = fmt::write(&mut Escaped(line), format_args!("{value:?}"));
        line.push('"');
        self.outcome = self.outcome.and(written);
    }
}

/// As many as fit into the integer below.
const MAX_THOUSANDTHS: f64 = 4e9;

fn push_thousandths(line: &mut String, thousandths: f64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
    let thousandths = thousandths as u32;
    let mut digits = *b"0000000.000";
    put_digits(&mut digits, 8..11, thousandths % 1000);
    put_digits(&mut digits, 0..7, thousandths / 1000);
    let text = str::from_utf8(&digits).unwrap_or_default().trim_start_matches('0');
    if text.starts_with('.') {
        line.push('0');
    }
    line.push_str(text);
}

/// The inside of a JSON string (RFC 8259 section 7).
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

fn push_escaped(line: &mut String, mut text: &str) {
    let must_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // Nearly every text is plain; without an early end, the compiler looks at many bytes at once.
    if !text.bytes().fold(false, |found, byte| found | must_escape(byte)) {
        return line.push_str(text);
    }
    while let Some(at) = text.bytes().position(must_escape) {
        let (plain, rest) = text.split_at(at);
        line.push_str(plain);
        let mut characters = rest.chars();
        match characters.next() {
            Some('"') => line.push_str("\\\""),
            Some('\\') => line.push_str("\\\\"),
            Some('\n') => line.push_str("\\n"),
            Some(other) => line.push_str(&format!("\\u{:04x}", u32::from(other))),
            None => {}
        }
        text = characters.as_str();
    }
    line.push_str(text);
}

/// A line of the log itself: how many others were lost.
pub(super) fn lost(lines: u64) -> String {
    format!(
        "{{\"level\":\"WARN\",\"target\":\"log\",\"message\":\"lines lost\",\"lines\":{lines}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing::{info, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonLine::default())
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(subscriber.finish(), log);
        let written = kept.0.lock().expect("not poisoned").clone();
        let written = String::from_utf8(written).expect("UTF-8");
        written.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[test]
    fn a_line_is_json_with_each_field_in_its_own_type() {
        let absent: Option<&str> = None;

        let lines = logged(|| {
            info!(target: "access", n = 1.5, count = 7_u64, below = -1, yes = true, absent, "m");
            warn!("last");
        });

        let first = lines.first().and_then(Value::as_object).expect("an object").clone();
        let timestamp = first.get("timestamp").and_then(Value::as_str).expect("a string");
        assert!(timestamp.starts_with("20") && timestamp.ends_with('Z'), "{timestamp}");
        let mut expected = json!({
            "level": "INFO", "target": "access", "message": "m", "n": 1.5, "count": 7,
            "below": -1, "yes": true,
        });
        let fields = expected.as_object_mut().expect("an object");
        fields.insert("timestamp".to_owned(), timestamp.into());
        assert_eq!(Value::from(first), expected);
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        let numbers =
            [0.0, 0.001, 0.01, 0.5, 1.0, 12.345, 4_000_000.5, 1e-9, 1e20, -1.5, 1.0 / 3.0];

        let lines = logged(|| numbers.iter().for_each(|number| info!(number)));

        let read: Vec<_> = lines.iter().filter_map(|line| line.get("number")?.as_f64()).collect();
        assert_eq!(read, numbers);
    }

    #[test]
    fn whatever_a_stranger_writes_stays_inside_its_string() {
        let evil: String = (0..0x250).filter_map(char::from_u32).collect();

        let lines = logged(|| info!(evil, shown = %evil, debug = ?evil));

        let line = lines.first().expect("one line");
        assert_eq!(line.get("evil"), Some(&evil.as_str().into()));
        assert_eq!(line.get("shown"), line.get("evil"));
        assert_eq!(line.get("debug"), Some(&format!("{evil:?}").into()));
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn the_line_about_lost_lines_is_json_too() {
        let line: Value = serde_json::from_str(&lost(3)).expect("JSON");
        assert_eq!(line.get("lines"), Some(&3.into()));
    }
}
