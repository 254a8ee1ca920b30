//! Counts logins by the messages. A server's own counters also count connections without a login, such as a TLS handshake that
//! the client broke off.

use std::collections::{BTreeMap, BTreeSet};

use super::framing::Protocol;
use super::message::{Direction, Message};

/// The number of connections on which the client has sent a login.
pub(super) fn sent(protocol: Protocol, messages: &[Message]) -> usize {
    let said = messages.iter().filter(|message| message.place.direction == Direction::ToServer);
    let said =
        said.filter(|message| !protocol.is_goodbye(message.place.direction, message.kind, message.length));
    let logins = said.filter(|message| !protocol.has_length_of_tls_request(message.length));
    logins.map(|message| message.connection).collect::<BTreeSet<_>>().len()
}

/// The number of connections on which the server refused before it accepted anything.
pub(super) fn refused(protocol: Protocol, messages: &[Message]) -> usize {
    let (no, yes) = match protocol {
        Protocol::Postgres => (b'E', b'Z'),
        Protocol::MySql => (0xff, 0x00),
        Protocol::Http | Protocol::Resp | Protocol::Opaque => return 0,
    };
    let mut verdicts = BTreeMap::new();
    for message in messages.iter().filter(|message| message.place.direction == Direction::ToClient) {
        if message.kind == no || message.kind == yes {
            verdicts.entry(message.connection).or_insert(message.kind == no);
        }
    }
    verdicts.values().filter(|refused| **refused).count()
}

#[cfg(test)]
mod tests {
    use super::super::message::Place;
    use super::*;
    use Direction::{ToClient, ToServer};

    fn messages(traffic: &[(usize, Direction, u8, usize)]) -> Vec<Message> {
        let message = |&(connection, direction, kind, length)| {
            let place = Place { conversation: connection, direction, number: 1 };
            Message { place, connection, kind, length }
        };
        traffic.iter().map(message).collect()
    }

    #[track_caller]
    fn check(protocol: Protocol, traffic: &[(usize, Direction, u8, usize)], expected: (usize, usize)) {
        let messages = messages(traffic);
        assert_eq!((sent(protocol, &messages), refused(protocol, &messages)), expected, "{messages:?}");
    }

    #[test]
    fn a_request_for_tls_is_no_login() {
        check(Protocol::Postgres, &[(1, ToServer, 0, 8), (1, ToClient, b'N', 1)], (0, 0));
        check(
            Protocol::Postgres,
            &[(1, ToServer, 0, 8), (1, ToClient, b'N', 1), (1, ToServer, 0, 40)],
            (1, 0),
        );
        check(Protocol::MySql, &[(1, ToClient, 10, 80), (1, ToServer, 0x85, 36)], (0, 0));
        check(Protocol::MySql, &[(1, ToClient, 10, 80), (1, ToServer, 0x85, 90)], (1, 0));
        check(Protocol::MySql, &[(1, ToClient, 10, 80), (1, ToServer, 1, 5)], (0, 0));
    }

    #[test]
    fn an_error_of_the_server_is_a_refusal_only_before_the_login_succeeds() {
        let refused = [(1, ToServer, 0, 40), (1, ToClient, b'R', 9), (1, ToClient, b'E', 60)];
        check(Protocol::Postgres, &refused, (1, 1));
        let accepted = [(2, ToServer, 0, 40), (2, ToClient, b'Z', 6), (2, ToClient, b'E', 60)];
        check(Protocol::Postgres, &[&refused[..], &accepted].concat(), (2, 1));
        check(Protocol::MySql, &[(1, ToServer, 0x85, 90), (1, ToClient, 0xff, 60)], (1, 1));
        check(
            Protocol::MySql,
            &[(1, ToClient, 10, 80), (1, ToClient, 0, 11), (1, ToClient, 0xff, 9)],
            (0, 0),
        );
    }
}
