//! `[[site]]`: the routes that pass through without proof.

use std::num::NonZeroUsize;
use std::time::Duration;

use http::Method;

use super::fault::Fault;
use super::findings::{Findings, Written};
use super::route::RoutePlace;
use super::{file, numbers, route};

/// One `[[site]]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// What logs and metrics call it; unique. Host and path unless written.
    pub name: String,
    /// Compared with the request's path after normalisation.
    pub path: String,
    /// Not only this path, but everything below it.
    pub is_prefix: bool,
    /// Only requests for this host (lower case, no port), or any.
    pub host: Option<String>,
    /// Only these methods; empty: any but CONNECT and TRACE.
    pub methods: Vec<Method>,
    /// What begins like one of these, byte for byte, it does not carry.
    pub except: Vec<String>,
    /// Whether it may be upgraded to a WebSocket.
    pub websocket: bool,
    /// Index into [`super::Config::upstreams`].
    pub upstream: usize,
    /// Largest request body; one byte more ends the request with 413.
    pub body_max_bytes: NonZeroUsize,
    /// From the moment a request goes to the upstream to the head of its answer.
    pub timeout: Duration,
    /// Between two pieces of a body, or of what a WebSocket carries.
    pub idle_timeout: Duration,
}

impl Site {
    /// One site, given the names that its upstream may have.
    pub(super) fn check(
        written: &file::RawSite,
        upstreams: &[&str],
        findings: &mut Findings,
    ) -> Option<Self> {
        let path = route::path(&written.path, findings);
        let host = written.host.as_ref().map(|host| route::host(host, findings));
        let name = written.upstream.as_ref();
        let upstream = name.and_then(|name| route::upstream(name, upstreams, findings));
        let methods = written.methods.iter().map(|method| checked_method(method, findings));
        let methods: Vec<_> = methods.collect();
        let except = written.except.iter().map(|path| route::path(path, findings));
        let except: Vec<_> = except.collect();
        let body_max_bytes = numbers::size(&written.body_max_bytes, 1..=MAXIMUM_BODY, findings);
        let timeout = numbers::milliseconds(&written.timeout_ms, findings);
        let idle_timeout = numbers::milliseconds(&written.idle_timeout_ms, findings);
        // An outer `None` is a key that is not there, an inner one a value that is no good.
        let (path, host) = (path?, host.map_or(Some(None), |host| host.map(Some))?);
        Some(Self {
            name: route::name(written.name.as_ref(), host.as_deref(), &path, findings)?,
            path,
            is_prefix: written.is_prefix,
            host,
            methods: methods.into_iter().collect::<Option<_>>()?,
            except: except.into_iter().collect::<Option<_>>()?,
            websocket: written.websocket,
            upstream: upstream?,
            body_max_bytes,
            timeout,
            idle_timeout,
        })
    }
}

impl Site {
    /// Whether it does not carry this path, although the path is below its own.
    pub(crate) fn excepts(&self, path: &str) -> bool {
        // Applications take `/admin` for `/admin/`.
        let is_start = |start: &String| {
            path.starts_with(start.as_str()) || start.strip_suffix('/') == Some(path)
        };
        self.except.iter().any(is_start)
    }

    pub(super) fn place<'a>(&'a self, written: &'a file::RawSite) -> RoutePlace<'a> {
        RoutePlace {
            host: &self.host,
            path: &self.path,
            is_prefix: self.is_prefix,
            name: &self.name,
            path_at: &written.path.at,
            name_at: written.name.as_ref().map(|name| &name.at),
        }
    }
}

fn checked_method(written: &Written<String>, findings: &mut Findings) -> Option<Method> {
    // Methods are case-sensitive (RFC 9110 section 9.1), and these two are no business of a site.
    let method = Method::from_bytes(written.value.as_bytes()).ok().filter(|method| {
        let is_upper = method.as_str().bytes().all(|byte| byte.is_ascii_uppercase());
        is_upper && *method != Method::CONNECT && *method != Method::TRACE
    });
    if method.is_none() {
        findings.fault(&written.at, Fault::MethodInvalid);
    }
    method
}

/// 1 TiB: a body is streamed, not held.
const MAXIMUM_BODY: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use crate::config::fixture::{faults, load};

    /// With `rest` from line 3 on.
    fn site(rest: &str) -> String {
        format!("[[site]]\nupstream = \"app\"\n{rest}")
    }

    #[test]
    fn a_site_takes_everything_below_the_root_unless_written() {
        let config = load(&site(""));
        let [site] = config.sites.as_slice() else { unreachable!("{config:?}") };

        assert_eq!((site.name.as_str(), site.path.as_str(), site.is_prefix), ("/", "/", true));
        assert!(site.host.is_none() && site.methods.is_empty());
    }

    #[test]
    fn methods_are_upper_case_and_neither_connect_nor_trace() {
        let config = load(&site("methods = [\"GET\", \"PROPFIND\"]"));
        assert_eq!(config.sites.first().map(|site| site.methods.len()), Some(2));

        for bad in ["get", "CONNECT", "TRACE", "", "G T"] {
            let faults = faults(&site(&format!("methods = [\"{bad}\"]")));
            assert_eq!(
                faults,
                ["3: `site[0].methods[0]`: must be a method in upper case, neither CONNECT nor \
                  TRACE"]
            );
        }
    }

    #[test]
    fn exceptions_are_paths() {
        let config = load(&site("except = [\"/admin\"]"));
        assert_eq!(config.sites.first().map(|site| site.except.len()), Some(1));

        assert_eq!(
            faults(&site("except = [\"admin\"]")),
            ["3: `site[0].except[0]`: must start with `/`"]
        );
    }

    #[test]
    fn an_exception_is_what_begins_like_it_and_itself_without_its_slash() {
        let config = load(&site("except = [\"/admin\", \"/reports/\"]"));
        let [site] = config.sites.as_slice() else { unreachable!("{config:?}") };

        for path in ["/admin", "/admin/x", "/admin.php", "/reports/", "/reports/x", "/reports"] {
            assert!(site.excepts(path), "{path}");
        }
        for path in ["/", "/adm", "/x/admin", "/reports2", "/report"] {
            assert!(!site.excepts(path), "{path}");
        }
    }

    #[test]
    fn a_prefix_and_an_exact_path_live_side_by_side_and_two_of_a_kind_clash() {
        let (prefix, exact) =
            (site("path = \"/a\""), site("path = \"/a\"\nmatch = \"exact\"\nname = \"x\""));

        assert_eq!(load(&format!("{prefix}\n{exact}")).sites.len(), 2);
        assert_eq!(
            faults(&format!("{prefix}\n{prefix}")),
            ["6: `site[1].path`: has the same host and path as `site[0].path`"]
        );
    }
}
