//! No secret that is no longer in use stays in the memory of the process, and no key as a text.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use hubgate_testkit::pki::{Identity, Leaf};
use hubgate_testkit::sender::{Message, Sender};
use rustix::process::Signal;

use crate::harness::{Place, Process, Settings};
use crate::waiting::comes_true;

/// Each is read from a file of this name.
const SECRETS: [&str; 2] = ["app-secret", "verify-token"];
const KEYS: [&str; 2] = ["server", "client"];

#[tokio::test]
async fn a_reload_leaves_nothing_of_the_secrets_and_keys_before_it() {
    let place = Place::new();
    place.write("ca.pem", &place.server_ca.certificate_pem());
    let first = Material::write(&place, "first");
    let upstream = "ca = \"ca.pem\"\nclient_certificate = \"client.pem\"\n\
                    client_private_key = \"client.key\"";
    let process = place
        .run(&Settings {
            upstream_url: "https://127.0.0.1:9".into(),
            upstream: upstream.into(),
            ..Settings::default()
        })
        .await;
    let Some(memory) = Memory::of(&process) else {
        return eprintln!("SKIPPED: the memory of another process may not be read here");
    };
    assert_eq!(send(&place, &process, &first).await, 502, "signed, and nobody is upstream");
    // The search finds what is there: one copy of each secret, and no key in the form of its file.
    assert_eq!(memory.found(&first.everything()), ["app-secret, 1 times", "verify-token, 1 times"]);
    // Whoever stays connected keeps nothing of it.
    let _idle = Sender::new(place.meta(&process)).unwrap().connect().await.unwrap();

    let second = Material::write(&place, "second");
    process.signal(Signal::HUP);
    process.until_written("reloaded").await;
    memory.until_gone(&first.everything()).await;
    assert_eq!(send(&place, &process, &first).await, 403, "the old secret");
    assert_eq!(send(&place, &process, &second).await, 502);

    // One that is refused leaves nothing, either.
    let third = Material::write(&place, "third");
    place.edit("[limits]", "[limits]\nnonsense = 1");
    process.signal(Signal::HUP);
    process.until_written("limits.nonsense").await;
    memory.until_gone(&third.everything()).await;
    let in_force = memory.found(&second.everything());
    assert_eq!(in_force, ["app-secret, 1 times", "verify-token, 1 times"]);
}

/// The status of the answer to an event that is signed with a secret of these.
async fn send(place: &Place, process: &Process, material: &Material) -> u16 {
    let sender = Sender::new(place.meta(process)).unwrap();
    sender.send(Message::event(&material.secrets[0], "{}")).await.unwrap().status.as_u16()
}

/// What a configuration reads and must not leave behind.
struct Material {
    secrets: [String; 2],
    identities: [Identity; 2],
}

impl Material {
    /// Puts it where the configuration says.
    fn write(place: &Place, name: &str) -> Self {
        // 32 characters, as an app secret has.
        let secrets = SECRETS.map(|file| format!("{name:->12}-{file:->12}-5ec2e7"));
        let identities = [
            place.server_ca.issue(Leaf::loopback_server()),
            place.server_ca.issue(Leaf::named("hubgate")),
        ];
        for (file, secret) in SECRETS.iter().zip(&secrets) {
            place.write(file, &format!("{secret}\n"));
        }
        for (file, identity) in KEYS.iter().zip(&identities) {
            // As some keep them: the key in the file of the chain, too.
            place.write(&format!("{file}.pem"), &(identity.key_pem() + &identity.chain_pem()));
            place.write(&format!("{file}.key"), &identity.key_pem());
        }
        Self { secrets, identities }
    }

    /// Lines of the PEM files, and the DER that they stand for.
    fn texts_of_keys(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for (name, identity) in KEYS.iter().zip(&self.identities) {
            let pem = identity.key_pem();
            let lines = pem.lines().filter(|line| !line.starts_with('-')).enumerate();
            // The first line is the same in every key of this kind, and what stands behind the
            // second is of the public key, which the certificate has, too.
            all.extend(
                lines
                    .skip(1)
                    .take(1)
                    .map(|(n, line)| (format!("{name} key, line {n}"), line.into())),
            );
            // Of the DER what is neither the same in every key nor in the certificate.
            let der = identity.key.secret_der();
            all.push((format!("{name} key, scalar"), der[36..68].to_vec()));
        }
        all
    }

    fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = self.texts_of_keys();
        let secrets = SECRETS.iter().zip(&self.secrets);
        // Half of one is too much, too.
        all.extend(secrets.map(|(name, secret)| (name.to_string(), secret[..26].into())));
        all
    }
}

/// What a process has written to its memory.
struct Memory {
    maps: String,
    memory: File,
    pages: File,
}

impl Memory {
    /// `None` where the kernel does not let us.
    fn of(process: &Process) -> Option<Self> {
        let directory = format!("/proc/{}", process.id().as_raw_nonzero());
        let open = |name: &str| File::open(format!("{directory}/{name}"));
        let this = Self {
            maps: format!("{directory}/maps"),
            memory: open("mem").ok()?,
            pages: open("pagemap").ok()?,
        };
        this.read(|_| {}).is_ok().then_some(this)
    }

    /// Every stretch of pages that were ever written to.
    fn read(&self, mut see: impl FnMut(&[u8])) -> io::Result<()> {
        let mut was_any_read = false;
        for line in fs::read_to_string(&self.maps)?.lines() {
            let mut fields = line.split_whitespace();
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            let (from, to) = range.split_once('-').unwrap();
            let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let mut stretch = Vec::new();
            for page in from / PAGE as u64..to / PAGE as u64 {
                let mut entry = [0; 8];
                self.pages.read_exact_at(&mut entry, page * 8)?;
                // Present, or swapped out.
                if u64::from_le_bytes(entry) >> 62 == 0 {
                    see(&stretch);
                    stretch.clear();
                    continue;
                }
                let begin = stretch.len();
                stretch.resize(begin + PAGE, 0);
                // It may be gone by now.
                if self.memory.read_exact_at(&mut stretch[begin..], page * PAGE as u64).is_err() {
                    stretch.truncate(begin);
                } else {
                    was_any_read = true;
                }
            }
            see(&stretch);
        }
        if was_any_read { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    /// Those that are there, by name.
    fn found(&self, needles: &[(String, Vec<u8>)]) -> Vec<String> {
        let bytes: Vec<_> = needles.iter().map(|(_, needle)| needle.as_slice()).collect();
        let counted = needles.iter().zip(self.counts(&bytes));
        let found = counted.filter(|(_, count)| *count > 0);
        found.map(|((name, _), count)| format!("{name}, {count} times")).collect()
    }

    /// How often each is there, in one go.
    fn counts(&self, needles: &[&[u8]]) -> Vec<usize> {
        let mut begins = [false; 256];
        for needle in needles {
            begins[usize::from(needle[0])] = true;
        }
        let mut counts = vec![0; needles.len()];
        self.read(|stretch| {
            for (at, _) in
                stretch.iter().enumerate().filter(|(_, byte)| begins[usize::from(**byte)])
            {
                for (count, needle) in counts.iter_mut().zip(needles) {
                    *count += usize::from(stretch[at..].starts_with(needle));
                }
            }
        })
        .unwrap();
        counts
    }

    /// What was replaced may be in use for a moment longer.
    async fn until_gone(&self, needles: &[(String, Vec<u8>)]) {
        let is_gone = comes_true(async || self.found(needles).is_empty()).await;
        assert!(is_gone, "still there: {:#?}", self.found(needles));
    }
}

const PAGE: usize = 4_096;
