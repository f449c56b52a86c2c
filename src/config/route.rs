//! What every route has: a path, a host, an upstream, a name; and the rules between routes.

use super::fault::Fault;
use super::findings::{At, Findings, Written};
use super::names;

/// A checked route, as far as all kinds of routes are alike.
pub(super) struct RoutePlace<'a> {
    pub(super) host: &'a Option<String>,
    pub(super) path: &'a str,
    /// Not only this path, but everything below it.
    pub(super) is_prefix: bool,
    pub(super) name: &'a str,
    /// Where the path is written, or else the route.
    pub(super) path_at: &'a At,
    /// Where the name is written, if it is.
    pub(super) name_at: Option<&'a At>,
}

/// The name if one is written, else host and path.
pub(super) fn name(
    written: Option<&Written<String>>,
    host: Option<&str>,
    path: &str,
    findings: &mut Findings,
) -> Option<String> {
    match written {
        Some(name) => names::visible(name, findings),
        None => Some(format!("{}{path}", host.unwrap_or_default())),
    }
}

/// Index of the upstream that is named.
pub(super) fn upstream(
    written: &Written<String>,
    names: &[&str],
    findings: &mut Findings,
) -> Option<usize> {
    let index = names.iter().position(|name| *name == written.value);
    if index.is_none() {
        let known = names.iter().map(|name| (*name).to_owned()).collect();
        findings.fault(&written.at, Fault::UpstreamUnknown { known });
    }
    index
}

/// The path, written in the one way that a normalised path is written.
pub(super) fn path(written: &Written<String>, findings: &mut Findings) -> Option<String> {
    let fault = path_fault(&written.value);
    let is_available = fault.is_none();
    if let Some(fault) = fault {
        findings.fault(&written.at, fault);
    }
    is_available.then(|| written.value.clone())
}

/// What keeps a path from being the path of a request, written in one way only (RFC 3986 sections
/// 3.3 and 6.2.2): there is nothing to decode in it and no segment that somebody may take out.
fn path_fault(path: &str) -> Option<Fault> {
    if !path.starts_with('/') {
        return Some(Fault::PathStart);
    }
    let is_foreign = |character: char| {
        !character.is_ascii_graphic()
            || matches!(character, '?' | '#' | '%' | '\\' | '"' | '<' | '>')
    };
    if let Some(character) = path.chars().find(|character| is_foreign(*character)) {
        return Some(Fault::PathCharacter { character });
    }
    if path.contains("//") {
        return Some(Fault::PathSegment { segment: "//" });
    }
    // With parameters, too: no request with such a segment passes.
    let mut names = path.split('/').map(|segment| segment.split(';').next().unwrap_or(segment));
    names.find_map(|name| match name {
        "." => Some(Fault::PathSegment { segment: "/." }),
        ".." => Some(Fault::PathSegment { segment: "/.." }),
        _ => None,
    })
}

/// The host in lower case, without a port.
pub(super) fn host(written: &Written<String>, findings: &mut Findings) -> Option<String> {
    let host = &written.value;
    if names::is_host(host) {
        return Some(host.to_ascii_lowercase());
    }
    let before_port = host.rsplit_once(':').map(|(before, _)| before);
    let fault = match before_port {
        Some(before) if names::is_host(before) => Fault::HostPort,
        Some(_) | None => Fault::HostSyntax,
    };
    findings.fault(&written.at, fault);
    None
}

/// No two routes for the same requests, no two of the same name.
pub(super) fn check_together(places: &[RoutePlace<'_>], findings: &mut Findings) {
    let mut seen: Vec<&RoutePlace<'_>> = Vec::new();
    let mut named = Vec::new();
    for place in places {
        let same = |other: &&&RoutePlace<'_>| {
            (other.path, other.host, other.is_prefix) == (place.path, place.host, place.is_prefix)
        };
        match seen.iter().find(same) {
            Some(first) => {
                let first = first.path_at.key.clone();
                findings.fault(place.path_at, Fault::RouteTaken { first });
                // Its name, unless written, is the same, too; that goes without saying.
                if place.name_at.is_none() {
                    continue;
                }
            }
            None => seen.push(place),
        }
        named.push((place.name, place.name_at.unwrap_or(place.path_at)));
    }
    findings.must_differ(named);
}
