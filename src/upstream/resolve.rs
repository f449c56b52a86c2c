//! The addresses of a server's name, asked for once at a time, however many connections wait.
//!
//! The system's resolver takes a thread for as long as it likes, and cannot be broken off. So there
//! is one question a name under way, in a task of its own: callers wait for its answer within their
//! own deadlines, and a name that nobody answers for takes one thread, not all of them. An answer,
//! good or bad, is good for a second.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::Instant;

/// What the system said of a name; the error's kind and text, which can be told to several.
type Addresses = Result<Arc<[SocketAddr]>, Arc<io::Error>>;

/// One name and port.
#[derive(Debug)]
pub(super) struct Name {
    host: String,
    port: u16,
    last: Arc<Mutex<Last>>,
}

#[derive(Debug, Default)]
enum Last {
    #[default]
    None,
    /// Under way.
    Asked(watch::Receiver<Option<Addresses>>),
    Answered(Instant, Addresses),
}

impl Name {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, last: Arc::default() }
    }

    /// Its addresses, from now or from a moment ago; the caller bounds the time.
    pub(super) async fn addresses(&self) -> io::Result<Arc<[SocketAddr]>> {
        // An address is taken as it is.
        if let Ok(address) = self.host.parse() {
            return Ok([SocketAddr::new(address, self.port)].into());
        }
        loop {
            let mut answer = match self.ask() {
                Ok(answered) => return told(answered),
                Err(asked) => asked,
            };
            // An error: whoever asked is gone with its runtime.
            if let Ok(answered) = answer.wait_for(Option::is_some).await
                && let Some(answered) = answered.clone()
            {
                return told(answered);
            }
        }
    }

    /// The last answer, or where the next one will be.
    fn ask(&self) -> Result<Addresses, watch::Receiver<Option<Addresses>>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Last::Answered(at, answered) if at.elapsed() < KEPT => return Ok(answered.clone()),
            Last::Asked(answer) if answer.has_changed().is_ok() => return Err(answer.clone()),
            Last::None | Last::Answered(..) | Last::Asked(_) => {}
        }
        let (told, answer) = watch::channel(None);
        *last = Last::Asked(answer.clone());
        let (host, port, last) = (self.host.clone(), self.port, Arc::clone(&self.last));
        tokio::spawn(async move {
            let found = lookup_host((host, port)).await;
            let answered = found.map(Iterator::collect).map_err(Arc::new);
            let now = Last::Answered(Instant::now(), Addresses::clone(&answered));
            *last.lock().unwrap_or_else(PoisonError::into_inner) = now;
            told.send_replace(Some(answered));
        });
        Err(answer)
    }
}

fn told(answered: Addresses) -> io::Result<Arc<[SocketAddr]>> {
    answered.map_err(|error| io::Error::new(error.kind(), error.to_string()))
}

/// Enough for a burst of connections; a name that moves is found again at once.
const KEPT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_its_own_and_a_name_is_looked_up_once_for_all_who_wait() {
        let name = Name::new("localhost", 7);
        let first = name.ask().expect_err("nothing is known yet");
        let second = name.ask().expect_err("the first is under way");
        assert!(first.same_channel(&second));

        let addresses = name.addresses().await.expect("the system knows it");

        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
        assert!(name.ask().is_ok(), "it is kept for a moment");
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_told_as_an_error_to_everybody() {
        let name = Name::new("no such host", 7);
        let (one, other) = tokio::join!(name.addresses(), name.addresses());
        assert!(one.is_err() && other.is_err());
    }
}
