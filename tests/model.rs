//! Checks that the protocol holds in every history, and that each protection is needed: without it, the search finds a failure.

#![expect(clippy::print_stdout, reason = "shown when a test fails: the histories explain why")]

use rotation_tests::model::{Broken, Outcome, Protection, Protocol, Strategy, World, explore};

use Broken::{CurrentRefused, EditLost, Forgotten, LockedOut, NoConvergence};
use Protection::{
    Durable, FinishLogin, Lock, LoginUnderLock, PrimaryFirst, Provenance, SecondLook, Unlabelled, UserCheck,
    Verify,
};
use Strategy::{AlternatingUsers, DualPassword, SingleUser};

/// Explores, prints the shortest history of each failure, and compares the result with the expected one.
#[track_caller]
fn check(strategy: Strategy, without: Option<Protection>, states: usize, broken: &[(Broken, usize)]) {
    check_in(World::default(), strategy, without, states, broken);
}

/// The same in a world with more than crashes.
#[track_caller]
fn check_in(
    world: World,
    strategy: Strategy,
    without: Option<Protection>,
    states: usize,
    broken: &[(Broken, usize)],
) {
    let protocol = Protocol { strategy, world, without };
    let outcome: Outcome = explore(protocol);
    println!("{protocol}: {} states, {} with a stale pending", outcome.states, outcome.stale);
    for (kind, count, history) in &outcome.broken {
        println!("{kind:?} in {count} states, first after:\n  {history}");
        assert!(history.lines().count() > 4, "a history that explains nothing: {history}");
    }
    let found: Vec<_> = outcome.broken.iter().map(|(kind, count, _)| (*kind, *count)).collect();
    assert_eq!((outcome.states, &found[..]), (states, broken), "{protocol}");
}

#[test]
fn every_promise_holds_in_every_history() {
    check(SingleUser, None, 26_695, &[]);
    check(AlternatingUsers, None, 22_621, &[]);
    check(DualPassword, None, 38_846, &[]);
}

#[test]
fn without_the_lock_a_late_promotion_meets_a_new_password() {
    check(AlternatingUsers, Some(Lock), 33_011, &[(CurrentRefused, 278)]);
    check(DualPassword, Some(Lock), 71_896, &[(CurrentRefused, 3_916)]);
}

#[test]
fn without_the_second_look_a_late_step_acts_on_labels_that_have_moved() {
    check(AlternatingUsers, Some(SecondLook), 30_521, &[(CurrentRefused, 134)]);
    check(DualPassword, Some(SecondLook), 55_392, &[(CurrentRefused, 892)]);
}

#[test]
fn without_its_login_a_stray_finish_secret_promotes_what_was_never_set() {
    check(AlternatingUsers, Some(FinishLogin), 27_801, &[(CurrentRefused, 984), (NoConvergence, 2)]);
    check(DualPassword, Some(FinishLogin), 46_426, &[(CurrentRefused, 1_820)]);
}

#[test]
fn without_the_login_under_the_lock_a_half_done_change_is_promoted() {
    check(DualPassword, Some(LoginUnderLock), 40_158, &[(CurrentRefused, 644)]);
}

#[test]
fn without_making_current_the_primary_a_repeated_change_drops_it() {
    check(DualPassword, Some(PrimaryFirst), 27_805, &[(CurrentRefused, 972)]);
}

#[test]
fn without_unlabelled_versions_a_lost_label_is_never_made_good() {
    check(SingleUser, Some(Unlabelled), 25_591, &[(NoConvergence, 14)]);
}

#[test]
fn without_the_user_check_a_pending_changes_the_user_that_is_current() {
    check(AlternatingUsers, Some(UserCheck), 23_229, &[(CurrentRefused, 148)]);
}

#[test]
fn what_a_strategy_does_not_need_changes_nothing_in_it() {
    // One user with one password promises less. Every late step only sets a password that the ladder finds again.
    for (protection, states) in [
        (Lock, 37_921),
        (SecondLook, 34_151),
        (FinishLogin, 46_673),
        (LoginUnderLock, 26_695),
        (PrimaryFirst, 26_695),
        (UserCheck, 26_695),
    ] {
        check(SingleUser, Some(protection), states, &[]);
    }
    for (protection, states) in [(LoginUnderLock, 22_621), (PrimaryFirst, 22_621), (Unlabelled, 22_621)] {
        check(AlternatingUsers, Some(protection), states, &[]);
    }
    for (protection, states) in [(Unlabelled, 38_846), (UserCheck, 38_846)] {
        check(DualPassword, Some(protection), states, &[]);
    }
}

const EDITS: World = World { edits: true, refuses: false, forgets: false };
const REFUSES: World = World { edits: false, refuses: true, forgets: false };
const FORGETS: World = World { edits: false, refuses: false, forgets: true };

#[test]
fn every_promise_holds_while_people_edit_and_servers_refuse_and_forget() {
    check_in(EDITS, SingleUser, None, 116_133, &[]);
    check_in(EDITS, AlternatingUsers, None, 115_003, &[]);
    check_in(EDITS, DualPassword, None, 163_814, &[]);
    check_in(REFUSES, SingleUser, None, 33_723, &[]);
    check_in(FORGETS, SingleUser, None, 26_695, &[]);
    check_in(FORGETS, AlternatingUsers, None, 22_621, &[]);
    check_in(FORGETS, DualPassword, None, 38_846, &[]);
    let everything = World { edits: true, refuses: true, forgets: true };
    check_in(everything, SingleUser, None, 146_037, &[]);
}

#[test]
fn without_its_provenance_a_pending_replaces_an_edit() {
    let without = Some(Provenance);
    check_in(EDITS, SingleUser, without, 147_981, &[(NoConvergence, 36), (EditLost, 2_490)]);
    check_in(EDITS, AlternatingUsers, without, 126_219, &[(NoConvergence, 32), (EditLost, 2_138)]);
    check_in(EDITS, DualPassword, without, 237_978, &[(NoConvergence, 58), (EditLost, 3_710)]);
}

#[test]
fn without_a_login_before_set_secret_ends_a_password_that_the_server_refuses_locks_out() {
    check_in(REFUSES, SingleUser, Some(Verify), 28_600, &[(LockedOut, 729)]);
}

#[test]
fn without_durable_commits_a_crash_of_the_server_takes_the_password_of_awscurrent() {
    check_in(FORGETS, SingleUser, Some(Durable), 63_417, &[(Forgotten, 40)]);
    check_in(FORGETS, AlternatingUsers, Some(Durable), 49_633, &[(Forgotten, 32)]);
    check_in(FORGETS, DualPassword, Some(Durable), 141_005, &[(Forgotten, 76)]);
}
