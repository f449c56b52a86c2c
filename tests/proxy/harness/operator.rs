//! A client of the admin listener.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::World;

/// What `/status` says now.
pub async fn status(world: &World) -> serde_json::Value {
    let (code, body) = get(world, "/status").await;
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// Status code and body of one answer, over a connection of its own.
pub async fn get(world: &World, path: &str) -> (u16, String) {
    try_get(world, path).await.unwrap()
}

/// As [`get`], where nobody may be there to answer.
pub async fn try_get(world: &World, path: &str) -> Result<(u16, String), io::ErrorKind> {
    let answer = exchange(world, path).await.map_err(|error| error.kind())?;
    let parts = answer.split_once("\r\n\r\n");
    let (head, body) = parts.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned()))
}

async fn exchange(world: &World, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(world.proxy.admin_address().unwrap()).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
