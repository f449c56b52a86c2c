//! What strangers hold, and genuine events beside: none of them fails or waits.

mod places;
mod servers;

use http::Method;
use hubgate_testkit::sender::{Message, Sender};

use crate::harness::World;
use crate::harness::backend::{Backend, Hop, OK};
use crate::harness::world::{event, send};

const SITE: &str = "[[site]]\nupstream = \"app\"\n";

fn get(path: &str) -> Message {
    Message::new(Method::GET).target_path(path)
}

/// Genuine events, one after another, over new connections and a kept one.
async fn assert_events_pass(world: &World) {
    let kept = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    for _ in 0..10 {
        assert_eq!(kept.request(event("{}")).await.unwrap().status, 200);
        assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
    }
}

/// An application that answers events, and leaves everything else unanswered.
async fn answering_events_alone() -> Backend {
    Backend::scripted(|mut hop: Hop| async move {
        while let Some(head) = hop.head().await {
            if !head.starts_with("POST ") {
                hop.until_closed().await;
                return;
            }
            let _body = hop.body(&head).await;
            hop.write(OK).await;
        }
    })
    .await
}
