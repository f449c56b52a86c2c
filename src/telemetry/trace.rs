//! W3C Trace Context, level 1: `traceparent` is passed on if it is valid, else begun.
//!
//! In: the headers of a request. Out: the trace's id for the access record, and headers with one
//! valid `traceparent`. hubgate records no spans of its own, so it takes no place in the tree: what
//! is valid passes unchanged, with its `tracestate`.

use std::cell::Cell;

use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::Error;

/// Makes the ids of one worker's traces.
///
/// They must be unique in the world, and their last bytes spread evenly, since samplers compare
/// those (section 3.2.2.3 and "trace-id field generation considerations"); nothing depends on their
/// being secret. So three sequences are seeded by the system once, and cost no call to it later.
#[derive(Debug)]
pub(crate) struct Traces {
    high: Sequence,
    low: Sequence,
    parent: Sequence,
}

/// The id of a trace: 32 lower-case hexadecimal digits, not all of them zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceId([u8; 32]);

impl TraceId {
    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Traces {
    /// Seeded by the system's source of random numbers.
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self { high: Sequence::new()?, low: Sequence::new()?, parent: Sequence::new()? })
    }

    /// Leaves one valid `traceparent` in the headers, and no `tracestate` of another trace.
    pub(crate) fn carry(&self, headers: &mut HeaderMap) -> TraceId {
        let mut given = headers.get_all(TRACEPARENT).iter();
        // Two would be read differently by different readers; neither is taken.
        let only = given.next().filter(|_| given.next().is_none());
        match only.and_then(|value| Parent::read(value.as_bytes())) {
            Some(Parent { trace_id, rewritten: None }) => trace_id,
            Some(Parent { trace_id, rewritten: Some(value) }) => {
                insert(headers, &value);
                trace_id
            }
            None => {
                // Section 4.2: without a parent that can be read, its state means nothing.
                headers.remove(TRACESTATE);
                let (value, trace_id) = self.begin();
                insert(headers, &value);
                trace_id
            }
        }
    }

    fn begin(&self) -> (Value, TraceId) {
        let (high, low) = (self.high.next(), self.low.next());
        // Section 3.2.2.4: zero is not an id.
        let parent = self.parent.next().max(1);
        let mut trace_id = [0; 32];
        let _fits = base16ct::lower::encode(
            &(u128::from(high) << 64 | u128::from(low).max(1)).to_be_bytes(),
            &mut trace_id,
        );
        let mut digits = [0; 16];
        let _fits = base16ct::lower::encode(&parent.to_be_bytes(), &mut digits);
        // Flagged as sampled: the access record is what was recorded, and an application that
        // follows its parent's choice would otherwise record nothing of any event.
        (value(&trace_id, &digits, b"01"), TraceId(trace_id))
    }
}

/// What a valid `traceparent` says.
struct Parent {
    trace_id: TraceId,
    /// In the version that is spoken here, if it came in a later one.
    rewritten: Option<Value>,
}

impl Parent {
    /// Section 3.2, and for later versions section 4.3 ("versioning of traceparent").
    fn read(bytes: &[u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_first_chunk::<LENGTH>()?;
        let [v0, v1, b'-', trace_and_more @ ..] = fixed else { return None };
        let (trace_id, more) = trace_and_more.split_first_chunk::<32>()?;
        let [b'-', parent_and_flags @ ..] = more else { return None };
        let (parent, flags) = parent_and_flags.split_first_chunk::<16>()?;
        let [b'-', f0, f1] = flags else { return None };
        let is_id = |digits: &[u8]| is_hex(digits) && digits.iter().any(|digit| *digit != b'0');
        let is_whole = is_id(trace_id) && is_id(parent) && is_hex(&[*v0, *v1, *f0, *f1]);
        let trace_id_read = TraceId(*trace_id);
        match ([*v0, *v1], rest) {
            _ if !is_whole => None,
            ([b'f', b'f'], _) => None,
            ([b'0', b'0'], []) => Some(Self { trace_id: trace_id_read, rewritten: None }),
            ([b'0', b'0'], _) => None,
            // Of a later version only what this one knows too may be handed on.
            (_, [] | [b'-', ..]) => {
                let is_sampled =
                    matches!(f1, b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f');
                let flags = if is_sampled { b"01" } else { b"00" };
                let rewritten = Some(value(trace_id, parent, flags));
                Some(Self { trace_id: trace_id_read, rewritten })
            }
            (_, _) => None,
        }
    }
}

type Value = [u8; LENGTH];

/// Of version 00: two digits, 32, 16 and two, with hyphens between.
const LENGTH: usize = 55;

fn value(trace_id: &[u8; 32], parent: &[u8; 16], flags: &[u8; 2]) -> Value {
    let mut value = *b"00-00000000000000000000000000000000-0000000000000000-00";
    let parts: [(_, &[u8]); 3] = [(3..35, trace_id), (36..52, parent), (53..55, flags)];
    for (place, part) in parts {
        if let Some(place) = value.get_mut(place) {
            place.copy_from_slice(part);
        }
    }
    value
}

fn insert(headers: &mut HeaderMap, value: &Value) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(TRACEPARENT, value);
    }
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// SplitMix64 (Steele, Lea and Flood, 2014): each value once in 2^64, evenly spread.
#[derive(Debug)]
struct Sequence(Cell<u64>);

impl Sequence {
    fn new() -> Result<Self, Error> {
        let mut seed = [0; 8];
        rustls::crypto::aws_lc_rs::default_provider().secure_random.fill(&mut seed)?;
        Ok(Self(Cell::new(u64::from_ne_bytes(seed))))
    }

    fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    /// What the headers say afterwards, and the id for the record.
    fn carried(given: &[&str]) -> (String, bool, TraceId) {
        let traces = Traces::new().expect("has random numbers");
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).expect("is a value"));
        }
        headers.append(TRACESTATE, HeaderValue::from_static("vendor=1"));
        let trace_id = traces.carry(&mut headers);
        let all: Vec<_> = headers.get_all(TRACEPARENT).iter().collect();
        assert_eq!(all.len(), 1);
        let text = all.first().and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        (text, headers.contains_key(TRACESTATE), trace_id)
    }

    #[test]
    fn a_valid_parent_passes_unchanged_with_its_state() {
        for flags in ["00", "01", "ff"] {
            let given = format!("{}{flags}", &VALID[..53]);
            let (text, has_state, trace_id) = carried(&[&given]);
            assert_eq!((text, has_state), (given, true));
            assert_eq!(trace_id.as_str(), &VALID[3..35]);
        }
    }

    #[test]
    fn a_parent_of_a_later_version_is_handed_on_in_ours() {
        for (given, flags) in [
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", "01"),
            ("fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02-what-comes-next", "00"),
        ] {
            let (text, has_state, _) = carried(&[given]);
            assert_eq!((text, has_state), (format!("{}{flags}", &VALID[..53]), true));
        }
    }

    #[test]
    fn what_is_not_valid_is_begun_anew_and_loses_its_state() {
        let upper = VALID.to_uppercase();
        let longer = format!("{VALID}-more");
        let later_and_longer = format!("01{}more", &VALID[2..]);
        for given in [
            vec![],
            vec![""],
            vec![VALID, VALID],
            vec![&VALID[..54]],
            vec![longer.as_str()],
            vec![later_and_longer.as_str()],
            vec![upper.as_str()],
            vec!["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"],
            vec!["0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"],
            vec!["00-00000000000000000000000000000000-00f067aa0ba902b7-00"],
            vec!["00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-00"],
            vec!["00-4bf92f3577b34da6a3ce929d0e0e473z-00f067aa0ba902b7-00"],
            vec!["00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"],
            vec!["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0z"],
        ] {
            let (text, has_state, trace_id) = carried(&given);
            assert!(!has_state && Parent::read(text.as_bytes()).is_some(), "{given:?}: {text}");
            assert_ne!(trace_id.as_str(), &VALID[3..35], "{given:?}");
            assert_eq!((&text[3..35], &text[52..]), (trace_id.as_str(), "-01"));
        }
    }

    #[test]
    fn ids_do_not_come_twice_and_their_last_digits_are_spread_evenly() {
        let traces = [Traces::new(), Traces::new()].map(|traces| traces.expect("has numbers"));
        let mut ids = HashSet::new();
        let mut last_digits = [0_u32; 256];
        for number in 0..16_000 {
            let Some(traces) = traces.get(number % 2) else { continue };
            let trace_id = traces.carry(&mut HeaderMap::new());
            let last = usize::from_str_radix(&trace_id.as_str()[30..], 16).expect("is hex");
            if let Some(count) = last_digits.get_mut(last) {
                *count += 1;
            }
            assert!(ids.insert(trace_id.as_str().to_owned()));
        }
        // 62.5 each would be even; a counter would leave some at zero.
        assert!(last_digits.iter().all(|count| (20..120).contains(count)), "{last_digits:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn whatever_comes_in_one_valid_parent_goes_out(
            given in "(00|01|ff|[0-9a-g]{2})-[0-9a-f]{31,33}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?|[ -~]{0,60}"
        ) {
            let (text, _, trace_id) = carried(&[&given]);
            prop_assert!(Parent::read(text.as_bytes()).is_some(), "{} to {}", given, text);
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert_eq!(&text[3..35], trace_id.as_str());
        }
    }
}
