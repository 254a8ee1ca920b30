//! Counts the costs of a rotation: calls of Secrets Manager and their depth, connections, round trips, refused logins.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lab::Lab;
use lab::proxy::{Direction, Message, Protocol, Proxy};

use crate::measure::rotate;
use crate::plan::{Case, Engine};
use crate::servers::Servers;
use crate::subject::{Side, Subjects};

/// The latency of calls while they are counted. It makes calls that start together overlap even on a busy machine.
const PACE: Duration = Duration::from_millis(50);

/// Counted in one warm rotation. Without TLS, because messages can then be told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) calls: usize,
    /// The longest chain of calls that follow each other.
    pub(crate) depth: usize,
    pub(crate) connections: usize,
    pub(crate) round_trips: usize,
    pub(crate) refused: usize,
}

pub(crate) async fn count(
    lab: &Lab,
    subjects: &Subjects,
    servers: &Servers,
    case: &Case,
    side: Side,
) -> io::Result<Count> {
    let protocol = match case.engine {
        Engine::Postgres | Engine::Redshift => Protocol::Postgres,
        Engine::MySql | Engine::MariaDb => Protocol::MySql,
        Engine::Keys => Protocol::Http,
    };
    let proxy = Proxy::start(protocol, "127.0.0.1", servers.port(case.engine)).await?;
    let name = format!("counted, {}, {side:?}", case.name()).replace([' ', ','], "_");
    let account = servers.account(case, &format!("{name}-admin"), proxy.port()).await?;
    account.store(lab, &name)?;
    lab.set_latency(Duration::ZERO);
    let function = Arc::new(subjects.function(case, side, servers, proxy.port())?.start().await?);
    lab.attach(&name, function.clone());
    rotate(lab, &name, &function).await?;
    lab.set_latency(PACE);
    proxy.clear();
    lab.clear_calls();
    let connections = proxy.connections();
    rotate(lab, &name, &function).await?;
    let messages = proxy.messages();
    Ok(Count {
        calls: lab.calls().len(),
        depth: lab.depth(),
        connections: proxy.connections() - connections,
        round_trips: round_trips(&messages),
        refused: proxy.logins_refused(),
    })
}

/// How often the server answered the client. If the server speaks first, as MySQL's does, it answers the connection itself.
fn round_trips(messages: &[Message]) -> usize {
    let mut last = BTreeMap::new();
    messages
        .iter()
        .filter(|message| {
            let direction = message.place.direction;
            let before = last.insert(message.connection, direction);
            direction == Direction::ToClient && before != Some(Direction::ToClient)
        })
        .count()
}

#[cfg(test)]
mod tests {
    use lab::proxy::Place;

    use super::*;

    fn messages(traffic: &[(usize, Direction, u8)]) -> Vec<Message> {
        let message = |&(connection, direction, kind)| {
            let place = Place { conversation: connection, direction, number: 1 };
            Message { place, connection, kind, length: 5 }
        };
        traffic.iter().map(message).collect()
    }

    #[test]
    fn a_round_trip_is_a_question_and_all_of_its_answer() {
        use Direction::{ToClient, ToServer};
        let traffic = [(1, ToServer, 0), (1, ToClient, b'R'), (1, ToClient, b'Z'), (1, ToServer, b'Q')];
        assert_eq!(round_trips(&messages(&traffic)), 1);
        let greeted = [(1, ToClient, 10), (1, ToServer, 0x85), (2, ToClient, 10), (1, ToClient, 0)];
        assert_eq!(round_trips(&messages(&greeted)), 3);
    }
}
