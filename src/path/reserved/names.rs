//! What the names in a path mean to servers: scripts, pages, indexes, short names.

/// To most, the slash at the end says nothing.
pub(super) fn without_last_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// Whether there is no script, index, extension or short name in a path: so it is with most.
pub(super) fn means_itself(path: &str) -> bool {
    let is_special = |name: &[u8]| {
        matches!(name, [b'i', b'n', b'd', ..] | [b'd', b'e', b'f', ..])
            || matches!(name, [b'c', b'g', b'i', ..] | [b'f', b'c', b'g', ..])
    };
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'.' | b'~' => return false,
            b'/' if is_special(after) => return false,
            _ => rest = after,
        }
    }
    true
}

/// The segment at the end of a reading.
pub(super) fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The path without each of its extensions, and that extension: whoever adds one finds it.
pub(super) fn stems(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let last = last_name(path);
    let beginning = path.len() - last.len();
    let is_extension = |part: &str| {
        part.len() <= LONGEST_EXTENSION
            && part.starts_with(|first: char| first.is_ascii_lowercase())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    last.match_indices('.').filter_map(move |(dot, _)| {
        let extensions = last.get(dot + 1..)?;
        let stem = path.get(..beginning + dot).filter(|_| dot > 0)?;
        extensions.split('.').all(is_extension).then_some((stem, extensions))
    })
}

const LONGEST_EXTENSION: usize = 10;

/// Directories of scripts that have a path behind them, and that path.
pub(super) fn scripts(path: &str) -> impl Iterator<Item = (&str, &str)> {
    path.match_indices('/').skip(1).filter_map(|(slash, _)| {
        let (script, rest) = path.split_at_checked(slash)?;
        let name = last_name(script);
        let directory = script.strip_suffix(name)?.strip_suffix('/')?;
        (is_script(name) || is_for_scripts(directory)).then_some((directory, rest))
    })
}

/// Front controllers behind one another; nobody has two.
pub(super) const SCRIPTS_MAX: usize = 3;

fn is_script(name: &str) -> bool {
    // Apache finds it without its extension (`MultiViews`).
    name == "index" || name.split('.').skip(1).any(is_page)
}

/// Whether whatever is in this directory is a script.
fn is_for_scripts(directory: &str) -> bool {
    matches!(last_name(directory), "cgi-bin" | "fcgi-bin")
}

/// Whether the first of these extensions is that of a page: of what is executed, or was made to look
/// as if nothing were.
pub(super) fn is_page(extensions: &str) -> bool {
    let first = extensions.split('.').next().unwrap_or(extensions);
    PAGES.contains(&first.trim_end_matches(|last: char| last.is_ascii_digit()))
}

/// By which servers know a script, or frameworks a page.
const PAGES: [&str; 33] = [
    "action", "asax", "ashx", "asmx", "asp", "aspx", "axd", "cfc", "cfm", "cfml", "cgi", "do",
    "dll", "exe", "faces", "fcgi", "fpl", "htm", "html", "jsf", "jsp", "jspx", "lua", "phar",
    "php", "phtml", "pl", "py", "rb", "shtml", "svc", "wsgi", "xhtml",
];

/// The directory that an index is served for.
pub(super) fn directory_of_index(path: &str) -> Option<&str> {
    let name = last_name(path);
    let rest = INDEXES.iter().find_map(|index| name.strip_prefix(index))?;
    let is_index = rest.is_empty() || rest.strip_prefix('.').is_some_and(is_page);
    path.strip_suffix(name)?.strip_suffix('/').filter(|_| is_index)
}

const INDEXES: [&str; 2] = ["index", "default"];

/// Room for an index, and for extensions before it.
pub(super) const LONGEST_END: usize = 64;

/// The root, all that a page is below of, and the page itself, if they are no longer than this.
pub(super) fn directories(page: &str, longest: usize) -> impl Iterator<Item = &str> {
    let slashes = page.match_indices('/').map(|(slash, _)| slash).skip(1);
    let ends = std::iter::once(0).chain(slashes).chain(Some(page.len()).filter(|end| *end > 0));
    ends.take_while(move |end| *end <= longest).filter_map(|end| page.get(..end))
}

/// Whether a segment in lower case is what Windows may call this one.
pub(super) fn is_short(segment: &str, long: &str) -> bool {
    let Some((before, after)) = segment.split_once('~') else { return false };
    let is_numbered = after.starts_with(|digit: char| digit.is_ascii_digit());
    let is_named = !before.is_empty();
    // From the fifth of a kind on, four of the letters are a hash.
    let (letters, hash) = before.split_at_checked(2).unwrap_or((before, ""));
    let is_hash = hash.len() == 4 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_numbered && is_named && (long.starts_with(before) || is_hash && long.starts_with(letters))
}
