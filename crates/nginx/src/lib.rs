//! Takes over from nginx: reads its configuration and writes one of hubgate that does the same, or
//! better.
//!
//! In: the main file of an nginx configuration. Out: the text of a `config.toml`, with a comment for
//! every directive, and the same as a list of findings. Knows nothing of a running nginx, and does
//! not look into certificates.
//!
//! [`load`] follows includes over [`parse`], which reads a text over [`token`]. [`proof`] finds out
//! where nginx looks at client certificates, [`restriction`] where it keeps callers out otherwise.
//! [`block`], [`redirect`], [`route`], [`pool`] and [`headers`] turn what they know into a [`draft`],
//! and settle it in the [`ledger`]; [`known`] settles the rest. [`able`] takes out what this
//! program has no key for, and [`mod@write`] makes the text.
//!
//! One rule above all: whatever nginx keeps out, the written configuration keeps out.

use std::collections::BTreeSet;
use std::path::Path;

use self::block::Block;
use self::draft::{Draft, RedirectDraft, RouteKind};
use self::ledger::{Ledger, Section};
use self::load::Loaded;
use self::parse::Directive;
use self::pool::Pools;
use self::proof::{DOCUMENTED_NAME, Proofs};
use self::route::{Names, Planner};
use self::scope::Scope;

pub use self::ledger::{Finding, Outcome};
pub use self::load::LoadError;
pub use self::parse::SourceLocation;
pub use self::syntax_error::SyntaxError;

mod able;
mod block;
mod condition;
mod draft;
mod findings;
mod headers;
mod known;
mod ledger;
mod load;
mod location;
mod parse;
mod pool;
mod proof;
mod redirect;
mod restriction;
mod route;
mod scope;
mod syntax_error;
mod token;
mod value;
mod write;

/// What an nginx configuration does not say.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Only the server block of this name.
    pub server: Option<String>,
    /// Callback paths, as in the app's dashboard; none: the paths of the locations.
    pub webhook_paths: Vec<String>,
    /// Where the app secret will be.
    pub app_secret_file: String,
    /// Where the verify token will be.
    pub verify_token_file: String,
}

/// What hubgate's own configuration has words for.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Every key, with its section.
    pub known_keys: BTreeSet<String>,
    /// Whether an application can be told who called in a header of this name.
    pub may_name_identity: fn(&str) -> bool,
}

/// A configuration that was taken over.
#[derive(Clone, Debug)]
pub struct Import {
    /// The text of the `config.toml`.
    pub text: String,
    /// What became of each directive, in their order.
    pub findings: Vec<Finding>,
}

/// Why nothing could be taken over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The configuration cannot be read.
    #[error("the nginx configuration cannot be read")]
    Load(#[from] LoadError),
    /// No server block is of use.
    #[error("no server block looks at client certificates (`ssl_verify_client`){}", named(.server))]
    NoServer {
        /// The name that was asked for.
        server: Option<String>,
    },
    /// Nothing says where Meta calls.
    #[error(
        "no location that can be reached over HTTP looks at the client certificate; name the path \
         that Meta calls with `--webhook-path`"
    )]
    NoWebhook,
}

fn named(server: &Option<String>) -> String {
    server.as_ref().map(|name| format!(" and is called `{name}`")).unwrap_or_default()
}

/// Reads an nginx configuration and writes one of hubgate.
pub fn import(
    file: &Path,
    options: &ImportOptions,
    vocabulary: &Vocabulary,
) -> Result<Import, ImportError> {
    let read = |source| LoadError::Read { path: file.to_owned(), source };
    let file = std::path::absolute(file).map_err(read)?;
    let loaded = load::load(&file)?;
    translate(&loaded, options, vocabulary)
}

fn translate(
    loaded: &Loaded,
    options: &ImportOptions,
    vocabulary: &Vocabulary,
) -> Result<Import, ImportError> {
    let absolute = |path: &str| loaded.directory.join(path).display().to_string();
    let http = http(&loaded.directives);
    let proofs = Proofs::find(http.own());
    let mut ledger = Ledger::new(vocabulary.may_name_identity);
    let mut draft = Draft::default();

    let blocks = Block::find(&http);
    let taken = taken(&blocks, options);
    let Some(first) = taken.first() else {
        return Err(ImportError::NoServer { server: options.server.clone() });
    };
    for block in &taken {
        block::translate(block, &absolute, &mut draft.server, &mut ledger);
        block::translate_trust(block, &absolute, &mut draft, &mut ledger);
    }
    block::translate_limits(first, &mut draft, &mut ledger);
    translate_workers(&loaded.directives, &mut draft, &mut ledger);

    let mut pools = Pools::new(http.clone());
    let mut names = Names::default();
    let is_alone = taken.len() == 1
        && blocks.iter().all(|other| {
            other.directive.id == first.directive.id
                || !other.is_tls()
                || !first.shares_address_with(other)
        });
    for block in &taken {
        // A host decides only where there are several to choose from.
        let hosts = match is_alone {
            true => vec![None],
            false => block.hosts().into_iter().map(Some).collect(),
        };
        let found = Planner {
            block,
            hosts,
            proofs: &proofs,
            callbacks: &options.webhook_paths,
            pools: &mut pools,
            ledger: &mut ledger,
            routes: &mut draft.routes,
            origin: 0,
        }
        .plan();
        names.allowed.extend(found.allowed);
    }
    if !draft.routes.iter().any(|route| matches!(route.kind, RouteKind::Webhook { .. })) {
        return Err(ImportError::NoWebhook);
    }
    draft.upstreams = pools.upstreams;
    for settings in draft.upstreams.iter_mut().map(|upstream| &mut upstream.settings) {
        let files =
            [&mut settings.ca, &mut settings.client_certificate, &mut settings.client_private_key];
        files.into_iter().flatten().for_each(|file| *file = absolute(file));
    }
    draft.common_names = common_names(&names);
    let left = translate_others(&blocks, &taken, &absolute, &mut draft, &mut ledger);
    let mut findings = findings::collect(loaded, &proofs, &mut ledger, &left);
    able::leave_out_the_unknown(&mut draft, &mut findings, &vocabulary.known_keys);
    let text = write::text(&draft, &findings, options);
    Ok(Import { text, findings })
}

/// What stands in `http`; a file with server blocks alone is what an `http` block includes.
fn http(directives: &[Directive]) -> Scope<'_> {
    match directives.iter().find(|directive| directive.name == "http") {
        Some(http) => Scope::outermost(http.children()),
        None => Scope::outermost(directives),
    }
}

/// The blocks that look at client certificates and trust the same: hubgate has one trust for all.
fn taken<'a>(blocks: &[Block<'a>], options: &ImportOptions) -> Vec<Block<'a>> {
    let is_wanted = |block: &&Block<'_>| {
        let name = options.server.as_deref();
        name.is_none_or(|name| block.names().contains(&name)) && block.verifies() && block.is_tls()
    };
    let mut wanted = blocks.iter().filter(is_wanted).cloned();
    let Some(first) = wanted.next() else { return Vec::new() };
    let trust = first.trust();
    let alike = wanted.filter(|block| block.trust() == trust && !block.hosts().is_empty());
    std::iter::once(first).chain(alike.collect::<Vec<_>>()).collect()
}

fn translate_workers(directives: &[Directive], draft: &mut Draft, ledger: &mut Ledger) {
    let workers = directives.iter().find(|directive| directive.name == "worker_processes");
    let Some(directive) = workers else { return };
    let count = value::number(directive.argument()).filter(|count| (1..=1_024).contains(count));
    draft.server.workers = count;
    ledger.settle(directive, Section::Server, Outcome::Carried, "workers; one a core by default");
}

/// Plain blocks become a redirect; the others are told and left, and the ids of these are returned.
fn translate_others(
    blocks: &[Block<'_>],
    taken: &[Block<'_>],
    absolute: &impl Fn(&str) -> String,
    draft: &mut Draft,
    ledger: &mut Ledger,
) -> BTreeSet<usize> {
    let mut left = BTreeSet::new();
    for block in blocks {
        let id = block.directive.id;
        if taken.iter().any(|other| other.directive.id == id) {
            continue;
        }
        if !block.is_tls() && redirect::belongs_to(block, taken) {
            let redirect = draft.redirect.get_or_insert_with(RedirectDraft::default);
            redirect::translate(block, absolute, redirect, ledger);
            continue;
        }
        let is_beside = taken.iter().any(|other| block.shares_address_with(other));
        let rejects = block.scope.own().iter().any(|line| line.is("ssl_reject_handshake", "on"));
        let (outcome, note) = if is_beside && rejects {
            draft.server.refuses_unknown_sni = true;
            (Outcome::Carried, "unknown_sni = \"refuse\"")
        } else if block.verifies() {
            (
                Outcome::Missing,
                "it trusts other anchors, or has no name: give it a hubgate of its own, with \
                 `--server`",
            )
        } else if is_beside {
            (
                Outcome::Missing,
                "it shares an address with what was taken over: move it to another one, or add a \
                 `[[site]]` with its `host`",
            )
        } else {
            (Outcome::LeftAlone, "it does not look at client certificates")
        };
        ledger.settle(block.directive, Section::Rest, outcome, note);
        left.insert(id);
    }
    left
}

/// The names that every webhook lets in; hubgate has one list for all of them.
fn common_names(names: &Names) -> Vec<String> {
    let mut sets = names.allowed.iter();
    let first = sets.next().cloned().unwrap_or_default();
    let shared = sets.fold(first, |shared, set| shared.intersection(set).cloned().collect());
    match shared.is_empty() {
        true => vec![DOCUMENTED_NAME.to_owned()],
        false => shared.into_iter().collect(),
    }
}
