//! The keys of `[[upstream]]` about TLS towards the application.

use std::path::PathBuf;

use super::fault::Fault;
use super::findings::Findings;
use super::secret_source::Environment;
use super::server::pem_file;
use super::{file, names, paths};

/// How an https upstream is proven, and what it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// PEM file of the roots to trust in place of the public ones.
    pub ca: Option<PathBuf>,
    /// The name that is asked for and that its certificate must have, without brackets; `None`: the
    /// host of the url.
    pub server_name: Option<String>,
    /// What it is shown if it asks for a certificate.
    pub client: Option<ClientFiles>,
}

/// The files of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// PEM file with the leaf first and its intermediates after it.
    pub certificate: PathBuf,
    /// PEM file with the leaf's private key; may be the same file.
    pub private_key: PathBuf,
}

impl UpstreamTls {
    /// `is_of_use`: whether every server is an https one.
    pub(super) fn check(
        written: &file::RawUpstream,
        is_of_use: bool,
        environment: Environment<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let file::RawUpstreamTls { ca, server_name, client_certificate, client_private_key } =
            &written.tls;
        let places = [
            ca.as_ref().map(|text| &text.at),
            server_name.as_ref().map(|text| &text.at),
            client_certificate.as_ref().map(file::PemFile::at),
            client_private_key.as_ref().map(file::PemFile::at),
        ];
        for at in places.into_iter().flatten().filter(|_| !is_of_use) {
            findings.fault(at, Fault::OnlyWithHttps);
        }
        let ca = ca.as_ref().map(|ca| paths::readable(ca, findings));
        let name = server_name.as_ref().map(|name| {
            if !names::is_host(&name.value) {
                findings.fault(&name.at, Fault::HostSyntax);
            }
            name.value.trim_matches(['[', ']']).to_ascii_lowercase()
        });
        let client = match (client_certificate, client_private_key) {
            (None, None) => None,
            (Some(certificate), Some(private_key)) => {
                let certificate = pem_file(certificate, environment, findings);
                let private_key = pem_file(private_key, environment, findings);
                Some(certificate.zip(private_key))
            }
            (certificate, _) => {
                let key = match certificate {
                    Some(_) => "client_private_key",
                    None => "client_certificate",
                };
                findings.fault(&written.at.child(key), Fault::Missing);
                None
            }
        };
        let client = match client {
            Some(files) => {
                let (certificate, private_key) = files?;
                Some(ClientFiles { certificate, private_key })
            }
            None => None,
        };
        Some(Self { ca: ca.map_or(Some(None), |ca| ca.map(Some))?, server_name: name, client })
    }

    /// Every file that is named here.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let client = self.client.clone();
        let client = client.map(|client| [client.certificate, client.private_key]);
        self.ca.clone().into_iter().chain(client.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::fixture::{faults, load};

    fn upstream(rest: &str) -> String {
        format!("[[upstream]]\nname = \"app\"\n{rest}")
    }

    #[test]
    fn each_key_is_checked_and_belongs_to_an_https_upstream() {
        let keys = "ca = \"ca.pem\"\nserver_name = \"App.example\"\n\
                    client_certificate = \"chain.pem\"\n\
                    client_private_key = { credential = \"token\" }";
        let good = load(&upstream(&format!("url = \"https://192.0.2.1\"\n{keys}")));
        let tls = &good.upstreams.first().expect("is there").tls;
        assert_eq!(tls.server_name.as_deref(), Some("app.example"));
        let files: Vec<_> = tls.files().collect();
        let ends = ["ca.pem", "chain.pem", "credentials/token"];
        assert!(files.iter().zip(ends).all(|(file, end)| file.ends_with(end)), "{files:?}");
        assert_eq!(files.len(), 3);

        let useless = ["ca", "server_name", "client_certificate", "client_private_key.credential"];
        let expected: Vec<_> = useless
            .iter()
            .enumerate()
            .map(|(index, key)| {
                format!("{}: `upstream[0].{key}`: is of use only with an `https` url", index + 4)
            })
            .collect();
        let urls = ["url = \"http://a\"", "servers = [\"https://a\", \"unix:/a\"]"];
        for url in urls {
            assert_eq!(faults(&upstream(&format!("{url}\n{keys}"))), expected);
        }
    }

    #[test]
    fn files_must_be_there_and_names_be_names() {
        let keys = "ca = \"absent.pem\"\nserver_name = \"a b\"";
        assert_eq!(
            faults(&upstream(&format!("url = \"https://a\"\n{keys}"))),
            [
                "4: `upstream[0].ca`: names `absent.pem`, which cannot be read: No such file or \
                 directory (os error 2)",
                "5: `upstream[0].server_name`: must be a host name or an IP address (IPv6 in \
                 brackets)",
            ]
        );
    }

    #[test]
    fn certificate_and_key_come_together() {
        for (there, missing) in [
            ("client_certificate", "client_private_key"),
            ("client_private_key", "client_certificate"),
        ] {
            let text = upstream(&format!("url = \"https://a\"\n{there} = \"key.pem\""));
            assert_eq!(faults(&text), [format!("1: `upstream[0].{missing}`: is missing")]);
        }
    }
}
