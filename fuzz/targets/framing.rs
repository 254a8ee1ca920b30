//! The lab's parser of wire protocols. However traffic is split, the messages stay the same, none is empty, and none is longer
//! than the input. The first byte chooses the protocol. Pieces follow, each with a byte for its direction and length.

#![no_main]

use lab::proxy::{Direction, Framing, Protocol};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let protocols = [Protocol::Postgres, Protocol::MySql, Protocol::Http, Protocol::Resp];
    let protocol = protocols[usize::from(first % 4)];
    let traffic = turns(rest);
    let whole = messages(protocol, &traffic, usize::MAX);
    let apart = messages(protocol, &traffic, 1 + usize::from(first / 4));
    // After encryption has begun, or in a chunked body, each read is a message.
    match last_whole(protocol, &whole) {
        None => assert_eq!(whole, apart),
        Some(at) => {
            assert_eq!(whole[..=at], apart[..=at]);
            assert_eq!(said(&whole[at..]), said(&apart[at..]), "bytes were lost");
        }
    }
});

/// The last message with known borders, if there is one.
fn last_whole(protocol: Protocol, messages: &[Message]) -> Option<usize> {
    let mut numbered = messages.iter().enumerate();
    let found = match protocol {
        // Every other message contains its length.
        Protocol::Postgres => numbered
            .find(|(_, (way, bytes))| *way == Direction::ToClient && matches!(&bytes[..], [b'S' | b'G'])),
        Protocol::Http => numbered.find(|(_, (_, bytes))| {
            let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(0);
            let mut lines = bytes[..head].split(|byte| *byte == b'\n');
            lines.any(|line| line.to_ascii_lowercase().starts_with(b"transfer-encoding:"))
        }),
        Protocol::Resp => None,
        _ => numbered
            .find(|(_, (way, _))| *way == Direction::ToServer)
            .filter(|(_, (_, bytes))| bytes.len() == 36 && bytes[5] & 8 != 0),
    };
    found.map(|(at, _)| at)
}

/// All bytes that each side has sent.
fn said(messages: &[Message]) -> [Vec<u8>; 2] {
    [Direction::ToServer, Direction::ToClient].map(|way| {
        let of = messages.iter().filter(|(direction, _)| *direction == way);
        of.flat_map(|(_, bytes)| bytes.clone()).collect()
    })
}

type Message = (Direction, Vec<u8>);

/// The traffic as turns, each of one side.
fn turns(mut bytes: &[u8]) -> Vec<Message> {
    let mut turns: Vec<Message> = Vec::new();
    while let Some((head, rest)) = bytes.split_first() {
        let direction = if head & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let (said, rest) = rest.split_at(usize::from(head >> 1).min(rest.len()));
        match turns.last_mut() {
            Some((last, bytes)) if *last == direction => bytes.extend(said),
            _ => turns.push((direction, said.to_vec())),
        }
        bytes = rest;
    }
    turns
}

/// The messages that the parser finds if each turn arrives in pieces of this size. A rest continues in the next turn of that
/// side.
fn messages(protocol: Protocol, traffic: &[Message], piece: usize) -> Vec<Message> {
    let mut framing = Framing::new(protocol);
    let (mut found, mut up, mut down) = (Vec::new(), Vec::new(), Vec::new());
    for (direction, said) in traffic {
        let pending = if *direction == Direction::ToServer { &mut up } else { &mut down };
        for piece in said.chunks(piece) {
            pending.extend_from_slice(piece);
            while let Some((length, _)) = framing.first_message(*direction, pending) {
                assert!((1..=pending.len()).contains(&length), "{length} of {} bytes", pending.len());
                found.push((*direction, pending.drain(..length).collect()));
            }
        }
    }
    found
}
