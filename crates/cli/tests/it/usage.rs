//! Arguments, help, and the location of the store.

use crate::support::{TestDir, WORLD};

const COMMANDS: [&str; 8] =
    ["demo", "import", "export", "edit", "remove", "explain", "apply", "log"];

/// The commands that need an existing store, with their required arguments.
const STORE_COMMANDS: [&str; 6] = [
    "export",
    "edit",
    "apply",
    "log",
    "remove --actor 1 --entity deal:288 --user 12",
    "explain --actor 1 --entity deal:288 --user 12",
];

#[test]
fn help_goes_to_standard_output_in_80_columns() {
    let dir = TestDir::empty();
    let assert_help = |line: &str, expected: &[&str]| {
        let finished = dir.run(line).assert_success();
        let long = finished.stdout.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{line}");
        assert!(expected.iter().all(|text| finished.stdout.contains(text)), "{finished:?}");
    };
    assert_help("--help", &COMMANDS);
    assert_help("-h", &["--store <URL>", "CRM_CHAT_STORE", "sqlite:crm-chat.db", "Exit status:"]);
    for command in COMMANDS {
        assert_help(&format!("{command} --help"), &["Usage: crm-chat", "--store"]);
    }
    assert_help("--version", &["crm-chat 0.1.0"]);
}

#[test]
fn bad_usage_is_explained_and_exits_with_2() {
    let cases = [
        ("fly", "unrecognized subcommand 'fly'"),
        ("remove --actor 1 --entity deal:288", "--user <N>"),
        ("remove --entity deal:288 --user 12", "--actor <N>"),
        ("remove --actor x --entity deal:288 --user 12", "from 1 to 9223372036854775807"),
        ("remove --actor -5 --entity deal:288 --user 12", "from 1 to 9223372036854775807"),
        ("remove --actor 0 --entity deal:288 --user 12", "from 1 to 9223372036854775807"),
        ("explain --actor 1 --entity deal --user 12", "`KIND:ID`, such as `deal:288`"),
        ("remove --actor 1 --entity deal:1 --user 1 --if-absent no", "refuse, accept"),
        ("remove --actor 1 --entity deal:1 --user 1 --user 2", "cannot be used multiple times"),
        ("log --after -1", "--after <N>"),
        ("export --store crm-chat.db", "expected `sqlite:PATH`"),
        ("export --store sqlite:", "expected `sqlite:PATH`"),
        ("export --store sqlite://a.db", "as in `sqlite:a.db`"),
        ("export more", "unexpected argument 'more'"),
    ];
    let dir = TestDir::with_store(WORLD);
    for (line, message) in cases {
        dir.run(line).assert_status(2).assert_stderr_has(message).assert_stdout("");
    }
    dir.run_args([]).assert_status(2).assert_stderr_has("Usage: crm-chat [OPTIONS] <COMMAND>");
}

#[test]
fn only_import_creates_a_store() {
    let dir = TestDir::empty();
    for line in STORE_COMMANDS {
        dir.run(line)
            .assert_status(3)
            .assert_stderr_has("`crm-chat.db`")
            .assert_stderr_has("no such file")
            .assert_stderr_has("hint: `crm-chat import");
        assert_eq!(dir.files(), [] as [&str; 0], "{line}");
    }
    dir.run_with_stdin("import", WORLD).assert_success().assert_stdout("");
    assert!(dir.files().contains(&"crm-chat.db".to_owned()));
    for line in STORE_COMMANDS {
        dir.run(line).assert_success();
    }
}

#[test]
fn store_is_selected_by_option_then_environment_then_default() {
    let dir = TestDir::empty();
    let import = |store: &[&str], environment: &str| {
        dir.write("world.json", WORLD);
        let mut program =
            dir.command(["import", "world.json"].into_iter().chain(store.iter().copied()));
        let status = program.env("CRM_CHAT_STORE", environment).status().unwrap();
        assert!(status.success());
    };
    import(&["--store", "sqlite:option.db"], "sqlite:environment.db");
    assert_eq!(dir.files(), ["option.db", "world.json"]);
    import(&[], "sqlite:environment.db");
    assert_eq!(dir.files(), ["environment.db", "option.db", "world.json"]);
    dir.run("--store sqlite:environment.db export").assert_success();
    let absolute = format!("sqlite:{}", dir.path("option.db").display());
    dir.run(&format!("export --store {absolute}")).assert_success();
}

#[test]
fn file_that_is_not_a_store_is_reported_and_left_alone() {
    let dir = TestDir::empty();
    dir.write("notes.txt", "not a database");
    dir.run("export --store sqlite:notes.txt")
        .assert_status(3)
        .assert_stderr_has("`notes.txt`")
        .assert_stderr_has("not a SQLite database");
    dir.run_with_stdin("import --store sqlite:notes.txt", WORLD)
        .assert_status(3)
        .assert_stderr_has("`notes.txt`");
    assert_eq!(std::fs::read_to_string(dir.path("notes.txt")).unwrap(), "not a database");
    dir.run_with_stdin("import --store sqlite:no/a.db", WORLD)
        .assert_status(3)
        .assert_stderr_has("hint: create the directory `no` first");
    assert_eq!(dir.files(), ["notes.txt"]);
}

#[test]
fn unreadable_input_is_reported_and_exits_with_2() {
    let dir = TestDir::with_store(WORLD);
    for command in ["import", "edit", "apply"] {
        dir.run(&format!("{command} none"))
            .assert_status(2)
            .assert_stderr_has("cannot read `none`: ");
        dir.run(&format!("{command} .")).assert_status(2).assert_stderr_has("cannot read `.`: ");
    }
}

#[test]
fn demo_fits_80_columns_and_leaves_no_files() {
    let dir = TestDir::empty();
    let mut program = dir.command(["demo"]);
    program.env("TMPDIR", dir.path(".")).env("CRM_CHAT_STORE", "sqlite:mine.db");
    let output = program.output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    assert_eq!((output.status.code(), err.as_slice()), (Some(0), [].as_slice()));
    assert_eq!(out.lines().find(|line| line.chars().count() > 80), None);
    for expected in [
        "\n  8773\n",
        "refused: CHAT_DELETE_USER_PERMISSION_DENIED",
        "\n  > 10  fails",
        "\"new_owner\":15",
    ] {
        assert!(out.contains(expected), "no `{expected}` in\n{out}");
    }
    assert_eq!(dir.files(), [] as [&str; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_reported() {
    let dir = TestDir::with_store(WORLD);
    for line in STORE_COMMANDS
        .into_iter()
        .filter(|line| !line.starts_with("edit") && *line != "apply" && *line != "log")
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = dir.command(line.split(' ')).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.starts_with("error: cannot write to standard output: "), "{err}");
    }
}
