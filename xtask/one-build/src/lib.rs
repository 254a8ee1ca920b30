//! Holds no code. Cargo compiles a dependency once for each set of its features, and the sets differ from package to package: without
//! this package, `cargo test --package rotate-mysql` compiles the AWS SDK again that `cargo xtask demo` has compiled already. This
//! package asks for every feature that any package needs. The lab depends on it, and so do the tests of every package, so all of them
//! share one build. What is deployed does not: a release build has only the features that it uses.
//!
//! The test `every_package_shares_one_build_of_each_dependency` tells what is missing here.
