//! Ports that the pages name, and free ones in their place.

use std::net::TcpListener;

/// What pages connect to or listen on.
const SHOWN: [u16; 4] = [8443, 9180, 3000, 3001];

/// For each port that pages name, one that was free a moment ago.
pub struct Ports(Vec<(String, String)>);

impl Ports {
    /// From below the range that the system hands out by itself, so that nothing else gets them.
    pub fn choose(seed: u32) -> Self {
        let start = 10_000 + u16::try_from(seed.wrapping_mul(37) % 20_000).unwrap();
        let is_free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
        let free = (start..).filter(is_free);
        Self(
            SHOWN
                .iter()
                .zip(free)
                .map(|(shown, free)| (shown.to_string(), free.to_string()))
                .collect(),
        )
    }

    /// What a page says, with the ports that are used.
    pub fn put_in(&self, text: &str) -> String {
        let swap = |text: String, (shown, free): &(String, String)| swapped(&text, shown, free);
        self.0.iter().fold(text.to_owned(), swap)
    }

    /// What a program says, with the ports of the page.
    pub fn take_out(&self, text: &str) -> String {
        let swap = |text: String, (shown, free): &(String, String)| swapped(&text, free, shown);
        self.0.iter().fold(text.to_owned(), swap)
    }
}

/// Where it is a number of its own.
fn swapped(text: &str, from: &str, to: &str) -> String {
    let mut swapped = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(from) {
        let is_part =
            before.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        swapped += before;
        swapped += if is_part { from } else { to };
        rest = after;
    }
    swapped + rest
}
