//! The examples run and print the expected output.

use std::process::Command;

#[test]
fn block_on_example_runs() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "crm-chat-sqlite", "--example", "block_on"])
        .output()
        .unwrap();
    let actual = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        actual,
        "user 7 left chat 8773\n\
         record 1: the owner is now Some(UserId(12))\n\
         again: user 7 is not a member of chat 8773\n"
    );
    assert!(output.status.success());
}
