//! What the faults of a start mean, or of a reload, when the configuration itself is in order.

use super::explanation::Explanation;

pub(super) const FILE_UNREADABLE: Explanation = Explanation {
    meaning: "A certificate, key or list cannot be read.",
    causes: &[
        "it is not there; relative paths start at the directory of the configuration",
        "the user that runs this may not read it: under systemd a DynamicUser, which needs LoadCredential=",
        "a link to a file that was renewed elsewhere leads nowhere",
    ],
    next: "hubgate check",
};

pub(super) const PEM_INVALID: Explanation = Explanation {
    meaning: "A file is not PEM.",
    causes: &[
        "it is DER: openssl x509 -inform der converts it",
        "the text was cut, or has other characters between its BEGIN and END lines",
    ],
    next: "openssl x509 -in FILE -noout -subject",
};

pub(super) const CERTIFICATE_ABSENT: Explanation = Explanation {
    meaning: "A file that should hold certificates holds none.",
    causes: &[
        "the file of the key, or of a signing request, is named in its place",
        "the renewal left an empty file",
    ],
    next: "grep -c 'BEGIN CERTIFICATE' FILE",
};

pub(super) const CERTIFICATE_UNREADABLE: Explanation = Explanation {
    meaning: "A certificate in a file cannot be parsed.",
    causes: &[
        "the file was cut or changed by hand",
        "it is of a kind that X.509 version 3 does not have",
    ],
    next: "openssl x509 -in FILE -noout -text",
};

pub(super) const KEY_ABSENT: Explanation = Explanation {
    meaning: "A file that should hold a private key holds none.",
    causes: &[
        "the file of the certificate is named in its place",
        "the key is encrypted with a password: openssl pkey writes it without",
    ],
    next: "grep BEGIN FILE",
};

pub(super) const KEY_UNSUPPORTED: Explanation = Explanation {
    meaning: "The private key is of a kind that is not supported.",
    causes: &["RSA below 2048 bits, DSA, or a curve other than P-256 and P-384"],
    next: "openssl pkey -in FILE -noout -text_pub",
};

pub(super) const KEY_MISMATCH: Explanation = Explanation {
    meaning: "The private key does not belong to the first certificate of the server's chain.",
    causes: &[
        "certificate and key are of two different renewals",
        "the file begins with the CA's certificate; the server's own comes first",
    ],
    next: "hubgate check",
};

pub(super) const CHAIN_ORDER: Explanation = Explanation {
    meaning: "A certificate of the server's chain was not issued by the one after it.",
    causes: &[
        "the file has the certificates in another order; own certificate first, then each issuer",
        "the intermediate is of another CA than the certificate",
    ],
    next: "openssl storeutl -noout -text -certs FILE | grep -E 'Subject:|Issuer:'",
};

pub(super) const ANCHOR_NOT_CA: Explanation = Explanation {
    meaning: "A trust anchor is not a CA, so that no chain can end in it.",
    causes: &[
        "a leaf was put into trust_anchors in place of its CA",
        "a very old root without basic constraints",
    ],
    next: "openssl x509 -in FILE -noout -subject -issuer -ext basicConstraints",
};

pub(super) const ANCHOR_LABEL_TAKEN: Explanation = Explanation {
    meaning: "Two trust anchors would have the same label in log and metrics.",
    causes: &[
        "two files of the same name in different directories",
        "the same CA among trust_anchors and candidate_anchors",
    ],
    next: "hubgate check",
};

pub(super) const CRL_TOO_LARGE: Explanation = Explanation {
    meaning: "A file of revocation lists is larger than client_certificate.crl_max_bytes.",
    causes: &["the list of a public CA with very many customers", "another file is named"],
    next: "ls -l FILE",
};

pub(super) const CRL_UNUSABLE: Explanation = Explanation {
    meaning: "A revocation list is not what it should be.",
    causes: &[
        "it is of another CA than those that are trusted",
        "it was cut, or changed after it was signed",
        "its issuer may not sign lists, or it is a delta",
    ],
    next: "openssl crl -in FILE -noout -issuer -lastupdate -nextupdate",
};

pub(super) const TLS_UNUSABLE: Explanation = Explanation {
    meaning: "The TLS library does not take these settings.",
    causes: &[
        "a certificate or key that can be read and not used, such as one with a critical extension that nobody knows",
    ],
    next: "hubgate check",
};

pub(super) const UPSTREAM_CA: Explanation = Explanation {
    meaning: "The roots for an https upstream cannot be used.",
    causes: &[
        "upstream.ca names a file that is not there, or is not PEM",
        "a certificate in it cannot be a root",
    ],
    next: "openssl x509 -in FILE -noout -subject -ext basicConstraints",
};

pub(super) const UPSTREAM_HOST: Explanation = Explanation {
    meaning: "The host of an https upstream, or its server_name, can stand in no certificate.",
    causes: &["an underscore or another character in it that names do not have"],
    next: "hubgate check",
};

pub(super) const LISTEN_FAILED: Explanation = Explanation {
    meaning: "An address cannot be listened on.",
    causes: &[
        "another program, or another hubgate, has it: --replace starts beside one that is about to stop",
        "the port is below 1024 and the process has no CAP_NET_BIND_SERVICE",
        "the address is not one of this machine, or not yet",
        "one address covers the other, as [::] covers 0.0.0.0 with the same port",
    ],
    next: "ss -ltnp",
};

pub(super) const SOCKET_NOT_LISTENING: Explanation = Explanation {
    meaning: "A socket that was handed over is not a listening TCP socket.",
    causes: &["the socket unit has ListenDatagram= or a path", "the socket unit has Accept=yes"],
    next: "systemctl cat hubgate.socket",
};

pub(super) const SOCKET_MISSING: Explanation = Explanation {
    meaning: "server.listen says \"systemd\", and no socket was handed over.",
    causes: &["hubgate.socket is not started or not enabled", "hubgate was started by hand"],
    next: "systemctl status hubgate.socket",
};

pub(super) const SOCKET_NOT_NAMED: Explanation = Explanation {
    meaning: "A socket was handed over that server.listen does not name; its callers would wait for nobody.",
    causes: &[
        "listen has an address and should have \"systemd\"",
        "the socket unit has an address more than the configuration",
        "the socket unit has port 80, and redirect.listen does not name it",
    ],
    next: "systemctl cat hubgate.socket",
};

pub(super) const THREAD_FAILED: Explanation = Explanation {
    meaning: "A worker, its runtime or its random numbers could not be had.",
    causes: &[
        "TasksMax= or a limit on processes is reached",
        "no free file descriptors: LimitNOFILE=",
        "a filter on system calls that is stricter than the one of the shipped unit",
    ],
    next: "systemctl show hubgate -p TasksMax -p TasksCurrent -p LimitNOFILE",
};
