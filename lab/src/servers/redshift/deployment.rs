//! The two kinds of cluster.

/// How a cluster is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// Its nodes are chosen. AWS documents nothing that it refuses and Serverless takes, among what this stand-in has.
    Provisioned,
    /// Serverless. It refuses the views that are for provisioned clusters only (`rules`).
    Serverless,
}
