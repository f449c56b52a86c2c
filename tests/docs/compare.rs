//! Whether what a page shows is what came, apart from what differs from run to run.

/// A line `...` in `shown` stands for any lines.
pub fn is_as_shown(shown: &str, came: &str) -> bool {
    let came: Vec<_> = came.lines().map(masked).collect();
    let mut rest = came.as_slice();
    let shown: Vec<_> = shown.lines().map(masked).collect();
    let mut pieces = shown.split(|line| line == "...");
    let first = pieces.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    let pieces: Vec<_> = pieces.collect();
    let Some((last, between)) = pieces.split_last() else { return rest.is_empty() };
    for piece in between.iter().filter(|piece| !piece.is_empty()) {
        let Some(at) = rest.windows(piece.len()).position(|lines| lines == *piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// Durations, moments, fingerprints and versions become placeholders; columns that they move become
/// one blank. Counts stay.
fn masked(line: &str) -> String {
    let line = line.replace("just now", "0 s ago");
    let indent = line.len() - line.trim_start().len();
    let words: Vec<_> = line.split_whitespace().collect();
    let mut masked = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1).copied().unwrap_or("");
        let previous = at.checked_sub(1).map_or("", |previous| words[previous]);
        let bare = word.trim_end_matches([',', ';', '.', ')']);
        let end = &word[bare.len()..];
        if is_number(bare) && end.is_empty() && is_unit(next) {
            masked.push(format!("DURATION{}", next.trim_start_matches(char::is_alphabetic)));
            at += 1;
        } else if MONTHS.contains(&bare) && words.get(at + 2).is_some_and(|time| is_time(time)) {
            // As in `Feb 22 04:32:00 2027 +00:00`.
            masked.push("MOMENT".to_owned());
            at += 4;
        } else if is_date(bare) {
            masked.push(format!("MOMENT{end}"));
        } else if bare.matches(':').count() == 31 {
            masked.push(format!("FINGERPRINT{end}"));
        } else if previous == "hubgate" && bare == env!("CARGO_PKG_VERSION") {
            masked.push("VERSION".to_owned());
        } else if word.starts_with("OpenSSL/") {
            masked.push("OPENSSL".to_owned());
        } else {
            masked.push((*word).to_owned());
        }
        at += 1;
    }
    " ".repeat(indent) + &masked.join(" ")
}

fn is_number(word: &str) -> bool {
    word.parse::<f64>().is_ok()
}

fn is_unit(word: &str) -> bool {
    let bare = word.trim_end_matches([',', ';', '.', ')']);
    ["ms", "s", "min", "h", "day", "days"].contains(&bare)
}

fn is_time(word: &str) -> bool {
    word.len() == 8 && word.matches(':').count() == 2
}

/// `2027-02-22`, also with a time behind it.
fn is_date(word: &str) -> bool {
    let mut parts = word.get(..10).unwrap_or("").split('-').map(str::len);
    word.starts_with("20")
        && [parts.next(), parts.next(), parts.next()] == [Some(4), Some(2), Some(2)]
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
