//! Faults: failures of a call, chosen by its number or by its operation.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;

use super::call::Call;

/// The call that a fault affects. Counting begins when the faults are set.
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

/// The effect of a fault on the call.
#[derive(Clone)]
pub enum What {
    /// The call is refused without effect: the exception's name and the HTTP status.
    FailBefore(String, u16),
    /// It takes effect, but the answer is this exception.
    FailAfter(String, u16),
    /// The connection is closed, and the call has no effect.
    DropBefore,
    /// The call takes effect, and the connection is closed instead of an answer.
    DropAfter,
    /// `ThrottlingException` with HTTP 400, as the service answers above its quota; no effect.
    Throttle,
    /// The call is delayed before it takes effect.
    Delay(Duration),
    /// A hook decides before the call takes effect.
    Before(Hook),
    /// A hook decides after the call has taken effect, while the answer is held back.
    After(Hook),
}

/// One fault.
#[derive(Clone)]
pub struct Fault {
    /// The call.
    pub at: At,
    /// The effect.
    pub what: What,
}

impl Fault {
    /// A fault at a call.
    #[must_use]
    pub fn new(at: At, what: What) -> Self {
        Self { at, what }
    }
}

/// How a held call continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Normally: it takes effect, or is answered.
    GoOn,
    /// The connection is closed. Before the effect, this means that the call never takes effect.
    Cut,
}

/// A question that is asked while a call is held: a future that says how the call continues.
#[derive(Clone)]
pub struct Hook(Arc<dyn Fn(Call) -> Asked + Send + Sync>);

type Asked = Pin<Box<dyn Future<Output = Verdict> + Send>>;

impl Hook {
    /// Makes a hook from a function. The call is held until the function's future is ready.
    pub fn new<F>(hook: impl Fn(Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        Self(Arc::new(move |call| Box::pin(hook(call))))
    }

    /// A hook that holds one call until the test decides how it continues.
    #[must_use]
    pub fn hold() -> (Self, Held) {
        let (reached, arrived) = oneshot::channel();
        let (verdict, decided) = oneshot::channel();
        let ends = Arc::new(Mutex::new(Some((reached, decided))));
        let hook = Self::new(move |call| {
            let ends = ends.lock().expect("nothing panics while it takes the ends").take();
            async move {
                let Some((reached, decided)) = ends else { return Verdict::GoOn };
                // If the test has stopped listening, its `Held` still decides, or cuts the call when it is dropped.
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

/// A call that is held, or will be. Dropping this value cuts the call.
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

    /// Lets the call continue.
    pub fn release(self) {
        let _ = self.verdict.send(Verdict::GoOn);
    }

    /// Closes the connection.
    pub fn cut(self) {
        let _ = self.verdict.send(Verdict::Cut);
    }
}

/// The faults, and the counts of calls.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    faults: Vec<(Fault, bool)>,
    calls: u64,
    by_operation: std::collections::BTreeMap<String, u64>,
}

impl Faults {
    /// Replaces all faults, and counts calls from here on.
    pub fn set(&self, faults: Vec<Fault>) {
        let faults = faults.into_iter().map(|fault| (fault, false)).collect();
        *self.lock() = Script { faults, ..Script::default() };
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.set(Vec::new());
    }

    /// The faults whose call has not come. After a test there should be none.
    #[must_use]
    pub fn unused(&self) -> Vec<At> {
        self.lock().faults.iter().filter(|(_, used)| !used).map(|(fault, _)| fault.at.clone()).collect()
    }

    /// Counts a call, and returns the faults for it.
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
