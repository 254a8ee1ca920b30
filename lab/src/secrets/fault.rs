//! Faults: what a call can be made to suffer, by its number or by its operation.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;

use super::call::Call;

/// Which call a fault strikes. Counting starts when the faults are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The n-th call of all, from 1.
    Call(u64),
    /// The n-th call of one operation, from 1.
    Operation(String, u64),
    /// Each call of one operation.
    Every(String),
}

impl At {
    /// The n-th call of an operation, from 1.
    #[must_use]
    pub fn operation(name: &str, nth: u64) -> Self {
        Self::Operation(name.into(), nth)
    }
}

/// What happens to the call.
#[derive(Clone)]
pub enum What {
    /// It is refused and has no effect: the exception's name and the HTTP status.
    FailBefore(String, u16),
    /// It takes effect, but the answer is this exception.
    FailAfter(String, u16),
    /// The connection is closed, and the call has no effect.
    DropBefore,
    /// The call takes effect, and the connection is closed instead of an answer.
    DropAfter,
    /// `ThrottlingException` with HTTP 400, as the service answers above its quota; no effect.
    Throttle,
    /// It waits before it takes effect.
    Delay(Duration),
    /// A hook decides before the effect.
    Before(Hook),
    /// A hook decides after the effect, while the answer is held back.
    After(Hook),
}

/// One fault.
#[derive(Clone)]
pub struct Fault {
    /// Which call.
    pub at: At,
    /// What happens to it.
    pub what: What,
}

impl Fault {
    /// A fault at a call.
    #[must_use]
    pub fn new(at: At, what: What) -> Self {
        Self { at, what }
    }
}

/// How a held call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As if nothing had been: it takes effect, or is answered.
    GoOn,
    /// The connection is closed. Before the effect this means that the effect never happens.
    Cut,
}

/// Something that is asked while a call is held: a future that says how the call goes on.
#[derive(Clone)]
pub struct Hook(Arc<dyn Fn(Call) -> Asked + Send + Sync>);

type Asked = Pin<Box<dyn Future<Output = Verdict> + Send>>;

impl Hook {
    /// A hook from a function; the call is held until its future is ready.
    pub fn new<F>(hook: impl Fn(Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        Self(Arc::new(move |call| Box::pin(hook(call))))
    }

    /// A hook that holds one call until the test says how it goes on.
    #[must_use]
    pub fn hold() -> (Self, Held) {
        let (reached, arrived) = oneshot::channel();
        let (verdict, decided) = oneshot::channel();
        let ends = Arc::new(Mutex::new(Some((reached, decided))));
        let hook = Self::new(move |call| {
            let ends = ends.lock().expect("nothing panics while it takes the ends").take();
            async move {
                let Some((reached, decided)) = ends else { return Verdict::GoOn };
                // The test may have stopped listening; the call then goes on as it says.
                let _ = reached.send(call);
                decided.await.unwrap_or(Verdict::Cut)
            }
        });
        (hook, Held { arrived: Some(arrived), verdict })
    }

    pub(crate) async fn ask(&self, call: Call) -> Verdict {
        (self.0)(call).await
    }
}

/// A call that is, or will be, held. Dropped, it cuts the call.
#[derive(Debug)]
pub struct Held {
    arrived: Option<oneshot::Receiver<Call>>,
    verdict: oneshot::Sender<Verdict>,
}

impl Held {
    /// Waits until the call has arrived at the hook; `None` if the lab is gone or the fault was replaced.
    pub async fn reached(&mut self) -> Option<Call> {
        self.arrived.take()?.await.ok()
    }

    /// Lets the call go on.
    pub fn release(self) {
        let _ = self.verdict.send(Verdict::GoOn);
    }

    /// Closes the connection instead.
    pub fn cut(self) {
        let _ = self.verdict.send(Verdict::Cut);
    }
}

/// The faults that wait for their calls.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    faults: Vec<(Fault, bool)>,
    calls: u64,
    by_operation: std::collections::BTreeMap<String, u64>,
}

impl Faults {
    /// Replaces all faults; calls are counted from here.
    pub fn set(&self, faults: Vec<Fault>) {
        let faults = faults.into_iter().map(|fault| (fault, false)).collect();
        *self.lock() = Script { faults, ..Script::default() };
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.set(Vec::new());
    }

    /// The faults whose call has not come; a test's script should leave none.
    #[must_use]
    pub fn unused(&self) -> Vec<At> {
        self.lock().faults.iter().filter(|(_, used)| !used).map(|(fault, _)| fault.at.clone()).collect()
    }

    /// Counts a call and takes what it is to suffer.
    pub(crate) fn strike(&self, operation: &str) -> Vec<What> {
        let mut script = self.lock();
        script.calls += 1;
        let calls = script.calls;
        let nth = script.by_operation.entry(operation.into()).or_default();
        *nth += 1;
        let nth = *nth;
        let mut struck = Vec::new();
        for (fault, used) in &mut script.faults {
            let strikes = match &fault.at {
                At::Call(number) => *number == calls,
                At::Operation(name, number) => name == operation && *number == nth,
                At::Every(name) => name == operation,
            };
            if strikes {
                *used = true;
                struck.push(fault.what.clone());
            }
        }
        struck
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().expect("nothing panics while it holds the faults")
    }
}
