//! What the proxy counted between two moments: where the demo's reasons come from.

use std::collections::BTreeMap;

/// The counters of one moment, by the series' name and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counters(BTreeMap<String, u64>);

/// How the proxy judged one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The event's signature was right.
    EventVerified,
    /// The verification request's token was right.
    TokenVerified,
    /// The label of a connection refusal or of a refusal.
    Refused(String),
}

impl Counters {
    /// From the text exposition format; what is no whole number is no counter.
    pub(super) fn parse(text: &str) -> Self {
        let series = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    /// How everything that was judged since `before` was judged; one entry a call.
    pub(super) fn judgements_since(&self, before: &Self) -> Vec<Judgement> {
        self.risen_since(before).filter_map(judgement).collect()
    }

    /// The label of the anchor that vouched since `before`, if one did.
    pub(super) fn anchor_since(&self, before: &Self) -> Option<String> {
        let mut risen = self.risen_since(before);
        risen.find_map(|series| {
            series.starts_with("hubgate_anchor_uses_total{").then(|| label(series, "anchor"))?
        })
    }

    fn risen_since<'c>(&'c self, before: &'c Self) -> impl Iterator<Item = &'c str> {
        let risen = self
            .0
            .iter()
            .filter(|&(series, value)| *value > before.0.get(series).copied().unwrap_or_default());
        risen.map(|(series, _)| series.as_str())
    }
}

fn judgement(series: &str) -> Option<Judgement> {
    let (name, _) = series.split_once('{')?;
    match name {
        "hubgate_events_verified_total" => Some(Judgement::EventVerified),
        "hubgate_verifications_total" => Some(Judgement::TokenVerified),
        "hubgate_handshake_refusals_total" | "hubgate_refusals_total" => {
            label(series, "reason").map(Judgement::Refused)
        }
        _ => None,
    }
}

/// The value of a label; the demo's own have no quotes in them.
fn label(series: &str, name: &str) -> Option<String> {
    let (_, rest) = series.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rose_is_what_happened() {
        let before = Counters::parse(
            "# TYPE hubgate_refusals counter\n\
             hubgate_refusals_total{route=\"/w\",reason=\"signature_missing\"} 3\n\
             hubgate_events_verified_total{route=\"/w\"} 1\n\
             hubgate_request_duration_seconds_sum{route=\"/w\"} 0.25\n",
        );
        let after = Counters::parse(
            "hubgate_refusals_total{route=\"/w\",reason=\"signature_missing\"} 4\n\
             hubgate_events_verified_total{route=\"/w\"} 1\n\
             hubgate_anchor_uses_total{anchor=\"meta\"} 1\n\
             hubgate_handshake_refusals_total{reason=\"unknown_anchor\"} 1\n",
        );
        let refused = |label: &str| Judgement::Refused(label.to_owned());
        let judgements = after.judgements_since(&before);
        assert_eq!(judgements, [refused("unknown_anchor"), refused("signature_missing")]);
        assert_eq!(after.anchor_since(&before).as_deref(), Some("meta"));
        assert_eq!(after.judgements_since(&after), []);
    }
}
