//! `health_check` of an upstream: each server is asked now and then how it is.

use std::num::NonZeroUsize;
use std::time::Duration;

use http::uri::PathAndQuery;

use super::fault::Fault;
use super::findings::{Findings, Written};
use super::{file, numbers};

/// How the servers of an upstream are asked, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for, with GET; a status from 200 to 399 is good.
    pub path: PathAndQuery,
    /// From one question to the next, of one server; later if an answer takes longer.
    pub interval: Duration,
    /// From the start of a connect to the head of the answer; later is as bad as never.
    pub timeout: Duration,
    /// So many bad answers in a row make a server unhealthy.
    pub unhealthy_after: NonZeroUsize,
    /// So many good answers in a row make it healthy again.
    pub healthy_after: NonZeroUsize,
}

impl HealthCheck {
    pub(super) fn check(written: &file::RawHealthCheck, findings: &mut Findings) -> Option<Self> {
        let path = written.path.as_ref().and_then(|path| target(path, findings));
        Some(Self {
            interval: numbers::milliseconds(&written.interval_ms, findings),
            timeout: numbers::milliseconds(&written.timeout_ms, findings),
            unhealthy_after: numbers::count(&written.unhealthy_after, findings),
            healthy_after: numbers::count(&written.healthy_after, findings),
            path: path?,
        })
    }
}

fn target(written: &Written<String>, findings: &mut Findings) -> Option<PathAndQuery> {
    let text = &written.value;
    let odd = text.chars().find(|c| !c.is_ascii_graphic() || *c == '#');
    let fault = match (text.starts_with('/'), odd, PathAndQuery::try_from(text.as_str())) {
        (false, ..) => Fault::PathStart,
        (true, Some(character), _) => Fault::TargetCharacter { character },
        (true, None, Err(_invalid)) => Fault::TargetCharacter { character: '"' },
        (true, None, Ok(target)) => return Some(target),
    };
    findings.fault(&written.at, fault);
    None
}

#[cfg(test)]
mod tests {
    use crate::config::fixture::{faults, load};

    fn upstream(rest: &str) -> String {
        format!("[[upstream]]\nname = \"app\"\nurl = \"http://a\"\nhealth_check = {{ {rest} }}")
    }

    #[test]
    fn a_path_is_enough() {
        let config = load(&upstream("path = \"/health?deep=1\""));
        let check = config.upstreams.first().and_then(|upstream| upstream.health_check.as_ref());
        let check = check.expect("is on");
        assert_eq!(check.path, "/health?deep=1");
        assert_eq!((check.unhealthy_after.get(), check.healthy_after.get()), (2, 1));
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        let all = |rest: &str| faults(&upstream(rest)).join("\n");
        assert_eq!(all(""), "4: `upstream[0].health_check.path`: is missing");
        assert!(all("path = \"health\"").ends_with("must start with `/`"));
        assert!(all("path = \"/a b\"").ends_with("must not have the character ' '"));
        assert!(all("path = \"/\\r\\nX: 1\"").ends_with("must not have the character '\\r'"));
        assert!(all("path = \"/\", healthy_after = 0").ends_with("must be greater than zero"));
    }
}
