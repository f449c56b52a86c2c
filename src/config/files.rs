//! The files that a configuration is made of, besides itself.

use std::path::PathBuf;

use super::Config;

impl Config {
    /// Every file that this configuration names, each once: a change of one may change what is in
    /// force.
    pub fn files(&self) -> Vec<PathBuf> {
        let section = self.client_certificate.as_ref();
        let trusted = section.iter().flat_map(|section| &section.trust_anchors);
        let candidates = section.iter().flat_map(|section| &section.candidate_anchors);
        let lists = section.iter().flat_map(|section| section.crl.files.clone());
        let shown = self.server.certificates.iter();
        let shown = shown.flat_map(|pair| [&pair.certificate, &pair.private_key]);
        let mut files: Vec<_> = shown.cloned().collect();
        files.extend(trusted.chain(candidates).map(|anchor| anchor.path.clone()));
        files.extend(lists);
        files.extend(self.secrets().filter_map(|secret| secret.source().path()).map(PathBuf::from));
        files.extend(self.upstreams.iter().flat_map(|upstream| upstream.tls.files()));
        files.sort_unstable();
        files.dedup();
        files
    }
}

#[cfg(test)]
mod tests {
    use crate::config::fixture::Fixture;

    #[test]
    fn every_file_is_named_once() {
        let fixture = Fixture::new();
        let text = "[client_certificate]\ntrust_anchors = [\"meta.pem\"]\n\
                    candidate_anchors = [\"old.pem\"]\ncrl_files = [\"list.crl\"]\n\
                    [[upstream]]\nname = \"app\"\nurl = \"https://a\"\nca = \"ca.pem\"\n\
                    proof = { file = \"proof\" }\n\
                    client_certificate = \"app.pem\"\nclient_private_key = \"app.pem\"\n\
                    [[webhook]]\npath = \"/\"\nupstream = \"app\"\n\
                    app_secrets = [{ file = \"secret\" }, { env = \"APP_SECRET\" }]\n\
                    verify_token = [{ file = \"secret\" }, { credential = \"token\" }]";

        fixture.write("list.crl", "");
        fixture.write("app.pem", "");
        fixture.write("proof", &"p".repeat(32));
        let files = fixture.load(text).expect("has no fault").files();

        let expected = [
            "app.pem",
            "ca.pem",
            "chain.pem",
            "credentials/token",
            "key.pem",
            "list.crl",
            "meta.pem",
            "old.pem",
            "proof",
            "secret",
        ];
        assert_eq!(files, expected.map(|name| fixture.path(name)));
    }
}
