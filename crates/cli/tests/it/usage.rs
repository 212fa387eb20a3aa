//! Arguments, help, and where the store is.

use crate::place::{Place, WORLD};

const COMMANDS: [&str; 8] =
    ["demo", "import", "export", "edit", "remove", "explain", "apply", "log"];

/// Every command but `import` and `demo`, with all that it requires.
const READY: [&str; 6] = [
    "export",
    "edit",
    "apply",
    "log",
    "remove --actor 1 --entity deal:288 --user 12",
    "explain --actor 1 --entity deal:288 --user 12",
];

#[test]
fn help_goes_to_standard_output_in_80_columns() {
    let place = Place::empty();
    let check = |line: &str, named: &[&str]| {
        let ran = place.run(line).succeeded();
        let long = ran.out.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{line}");
        assert!(named.iter().all(|name| ran.out.contains(name)), "{ran:?}");
    };
    check("--help", &COMMANDS);
    check("-h", &["--store <URL>", "CRM_CHAT_STORE", "sqlite:crm-chat.db", "Exit status:"]);
    for command in COMMANDS {
        check(&format!("{command} --help"), &["Usage: crm-chat", "--store"]);
    }
    check("--version", &["crm-chat 0.1.0"]);
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
        ("export --store crm-chat.db", "a store is written as `sqlite:PATH`"),
        ("export --store sqlite:", "a store is written as `sqlite:PATH`"),
        ("export --store sqlite://a.db", "as in `sqlite:a.db`"),
        ("export more", "unexpected argument 'more'"),
    ];
    let place = Place::holding(WORLD);
    for (line, said) in cases {
        place.run(line).ended(2).said(said).answered("");
    }
    place.run_with([]).ended(2).said("Usage: crm-chat [OPTIONS] <COMMAND>");
}

#[test]
fn only_import_creates_a_store() {
    let place = Place::empty();
    for line in READY {
        place
            .run(line)
            .ended(3)
            .said("`crm-chat.db`")
            .said("no such file")
            .said("hint: `crm-chat import");
        assert_eq!(place.files(), [] as [&str; 0], "{line}");
    }
    place.feed("import", WORLD).succeeded().answered("");
    assert!(place.files().contains(&"crm-chat.db".to_owned()));
    for line in READY {
        place.run(line).succeeded();
    }
}

#[test]
fn the_store_is_named_by_the_option_else_by_the_environment_else_by_default() {
    let place = Place::empty();
    let import = |store: &[&str], environment: &str| {
        place.write("world.json", WORLD);
        let mut program =
            place.program(["import", "world.json"].into_iter().chain(store.iter().copied()));
        let status = program.env("CRM_CHAT_STORE", environment).status().unwrap();
        assert!(status.success());
    };
    import(&["--store", "sqlite:option.db"], "sqlite:environment.db");
    assert_eq!(place.files(), ["option.db", "world.json"]);
    import(&[], "sqlite:environment.db");
    assert_eq!(place.files(), ["environment.db", "option.db", "world.json"]);
    place.run("--store sqlite:environment.db export").succeeded();
    let absolute = format!("sqlite:{}", place.path("option.db").display());
    place.run(&format!("export --store {absolute}")).succeeded();
}

#[test]
fn what_cannot_be_a_store_is_named_and_left_alone() {
    let place = Place::empty();
    place.write("notes.txt", "not a database");
    place
        .run("export --store sqlite:notes.txt")
        .ended(3)
        .said("`notes.txt`")
        .said("not a SQLite database");
    place.feed("import --store sqlite:notes.txt", WORLD).ended(3).said("`notes.txt`");
    assert_eq!(std::fs::read_to_string(place.path("notes.txt")).unwrap(), "not a database");
    place
        .feed("import --store sqlite:no/a.db", WORLD)
        .ended(3)
        .said("hint: make the folder `no` first");
    assert_eq!(place.files(), ["notes.txt"]);
}

#[test]
fn unreadable_input_is_named_and_exits_with_2() {
    let place = Place::holding(WORLD);
    for command in ["import", "edit", "apply"] {
        place.run(&format!("{command} none")).ended(2).said("cannot read `none`: ");
        place.run(&format!("{command} .")).ended(2).said("cannot read `.`: ");
    }
}

#[test]
fn the_demo_reads_in_80_columns_and_leaves_nothing_behind() {
    let place = Place::empty();
    let mut program = place.program(["demo"]);
    program.env("TMPDIR", place.path(".")).env("CRM_CHAT_STORE", "sqlite:mine.db");
    let output = program.output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    assert_eq!((output.status.code(), err.as_slice()), (Some(0), [].as_slice()));
    assert_eq!(out.lines().find(|line| line.chars().count() > 80), None);
    for shown in [
        "\n  8773\n",
        "refused: CHAT_DELETE_USER_PERMISSION_DENIED",
        "\n  > 10  fails",
        "\"new_owner\":15",
    ] {
        assert!(out.contains(shown), "no `{shown}` in\n{out}");
    }
    assert_eq!(place.files(), [] as [&str; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_told() {
    let place = Place::holding(WORLD);
    for line in READY
        .into_iter()
        .filter(|line| !line.starts_with("edit") && *line != "apply" && *line != "log")
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = place.program(line.split(' ')).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.starts_with("error: cannot write to standard output: "), "{err}");
    }
}
