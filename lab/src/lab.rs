//! A running lab: Secrets Manager over HTTP, and the rotator of its secrets.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::rotation::{self, Event, Invoke, InvokeError, Retries, Rotation, Rotator, Step};
use crate::secrets::caller::{Account, Caller, Callers};
use crate::secrets::disk::{Disk, StateFile};
use crate::secrets::operation::context::Begun;
use crate::secrets::service::{Pace, Service};
use crate::secrets::state::State;
use crate::secrets::{Call, Clock, Faults, Refusal, Secrets, call, server};

/// The settings of a lab. The default is enough for most tests.
#[derive(Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// The AWS account of callers that `accounts` does not list.
    pub account: String,
    /// The Region of unsigned calls and of the library's handle. A signed call names its own.
    pub region: String,
    /// The AWS accounts behind access keys: for calls across accounts, and to check signatures.
    pub accounts: BTreeMap<String, Account>,
    /// Whether to refuse requests that are not signed, or not with an access key and secret key of `accounts`.
    pub check_signatures: bool,
    /// The encrypted file that keeps the secrets; without it they end with the lab.
    pub state: Option<StateFile>,
    /// The duration of each call, as if the lab were a Region away.
    pub latency: Duration,
    /// How far GetSecretValue and BatchGetSecretValue lag behind the writes.
    pub value_lag: Duration,
    /// How far DescribeSecret, ListSecrets and ListSecretVersionIds lag behind the writes.
    pub metadata_lag: Duration,
    /// How often a failed rotation is tried.
    pub retries: Retries,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            account: "000000000000".into(),
            region: "us-east-1".into(),
            accounts: BTreeMap::new(),
            check_signatures: false,
            state: None,
            latency: Duration::ZERO,
            value_lag: Duration::ZERO,
            metadata_lag: Duration::ZERO,
            retries: Retries::default(),
        }
    }
}

impl Options {
    /// The options of the service itself.
    fn of_service(self) -> (Callers, Pace) {
        let Self { account, region, accounts, check_signatures, latency, value_lag, metadata_lag, .. } = self;
        let unsigned = Caller { access_key: String::new(), account, region };
        (Callers { unsigned, accounts, check_signatures }, Pace { latency, value_lag, metadata_lag })
    }
}

/// A running lab. When it is dropped, it closes every connection and ends every rotation.
pub struct Lab {
    service: Arc<Service>,
    rotator: Arc<Rotator>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Lab {
    /// Starts a lab on 127.0.0.1.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let (disk, state) = match &options.state {
            Some(file) => {
                let (disk, secrets) = Disk::open(file)?;
                (Some(disk), State::restore(secrets))
            }
            None => (None, State::default()),
        };
        let rotator = Arc::new(Rotator::new(options.retries));
        let (callers, pace) = options.of_service();
        let service = Arc::new(Service::new(callers, pace, state, disk, rotator.clone()));
        let mut tasks = JoinSet::new();
        let serving = server::serve(listener, Arc::clone(&service));
        tasks.spawn(async move {
            serving.await;
        });
        let scheduling = rotation::keep_schedules(Arc::clone(&service));
        tasks.spawn(async move {
            scheduling.await;
        });
        Ok(Self { service, rotator, address, _tasks: tasks })
    }

    /// The URL for a client's endpoint setting.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The secrets, for reads and writes without HTTP.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        Secrets { service: Arc::clone(&self.service), caller: self.service.unsigned() }
    }

    /// The calls that have ended since the log was cleared, sorted by number.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.service.calls.all()
    }

    /// Empties the call log and numbers calls from the start.
    pub fn clear_calls(&self) {
        self.service.calls.clear();
    }

    /// The longest chain of calls that follow each other. Calls that overlap count once.
    #[must_use]
    pub fn depth(&self) -> usize {
        call::depth(&self.calls())
    }

    /// The faults, to set and to inspect.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.service.faults.clone()
    }

    /// Runs `hook` after the effect of each call, and holds back the answer until the hook returns. It replaces the hook before.
    pub fn on_call<F>(&self, hook: impl Fn(Call) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hook: Arc<_> = Arc::new(move |call| Box::pin(hook(call)) as _);
        *self.service.on_call.lock().expect("nothing panics while it holds the hook") = Some(hook);
    }

    /// The lab's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.service.clock
    }

    /// Sets how long each call takes from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.service.set_pace(Pace { latency, ..self.service.pace() });
    }

    /// Sets how far reads of values and of metadata lag from now on.
    pub fn set_lag(&self, value_lag: Duration, metadata_lag: Duration) {
        self.service.set_pace(Pace { value_lag, metadata_lag, ..self.service.pace() });
    }

    /// Attaches a rotation function under a name, and returns its ARN in the lab's own Region. Secrets of any Region can use it.
    pub fn attach(&self, name: &str, function: Arc<dyn Invoke>) -> String {
        self.rotator.attach(name, function);
        self.service.function_arn(name)
    }

    /// The events about rotations that the service has published so far: the last thousand.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.rotator.events().clone()
    }

    /// The events about rotations that the service publishes from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Event> {
        self.rotator.follow()
    }

    /// Rotates a secret with the function configured for it, and waits for the end.
    pub async fn rotate(&self, secret_id: &str) -> Result<Rotation, Refusal> {
        let token = self.secrets().begin_rotation(secret_id)?;
        self.reattempt(secret_id, &token).await
    }

    /// Repeats a rotation that was begun before, from createSecret on, with the same token.
    pub async fn reattempt(&self, secret_id: &str, token: &str) -> Result<Rotation, Refusal> {
        let key = self.secrets().find(secret_id)?.key;
        Ok(rotation::drive(&self.rotator, &self.service, &Begun { key, token: token.into() }).await)
    }

    /// Invokes the function for one step, as the service would.
    pub async fn step(&self, secret_id: &str, token: &str, step: Step) -> Result<(), InvokeError> {
        let found = self.secrets().find(secret_id);
        let key = found.map_err(|refusal| InvokeError::NotInvokable(refusal.to_string()))?.key;
        rotation::step(&self.rotator, &self.service, &key, token, step).await
    }

    /// Waits until the rotation to a version has ended.
    pub async fn rotated(&self, token: &str) -> Rotation {
        let mut ended = self.rotator.ended();
        let is_it = |rotation: &&Rotation| rotation.token == token;
        let ended = ended.wait_for(|all| all.iter().any(|rotation| is_it(&rotation))).await;
        let ended = ended.expect("the rotator lives as long as the lab");
        ended.iter().rfind(is_it).cloned().expect("it has just been found")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Hooks and functions may hold handles of the lab. If they stayed, neither the lab nor the functions' processes would
        // end.
        *self.service.on_call.lock().expect("nothing panics while it holds the hook") = None;
        self.service.faults.clear();
        self.rotator.functions().clear();
        self.rotator.tasks().abort_all();
        self.service.close();
    }
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lab").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}
