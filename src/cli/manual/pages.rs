//! What the pages say besides the flags: exit codes, examples, variables and files.

use crate::exit_code::ExitCode;

/// The content of a page besides the flags.
pub struct Page {
    /// The words of the command, for example `models prepare`; empty for the program itself.
    pub command: &'static str,
    pub exits: &'static [ExitCode],
    /// Command lines without the program's name, each with its explanation.
    pub examples: &'static [(&'static str, &'static str)],
}

use ExitCode::{
    Failure, FingerprintMismatch, Forced, Incomplete, Locked, NoSuchOutput, NothingToIndex, Paused,
    Success, Unavailable, Usage, VerifyFailed,
};

const BUILD_EXITS: &[ExitCode] = &[
    Success,
    Failure,
    Usage,
    Incomplete,
    NothingToIndex,
    Locked,
    FingerprintMismatch,
    Unavailable,
    Paused,
    Forced,
];

pub const PLAIN_EXITS: &[ExitCode] = &[Success, Failure, Usage];

const PROFILE_EXITS: &[ExitCode] = &[Success, Failure, Usage, NothingToIndex];

const MODEL_EXITS: &[ExitCode] = &[Success, Failure, Usage, Unavailable];

pub const PAGES: &[Page] = &[
    Page {
        command: "",
        exits: &ExitCode::ALL,
        examples: &[
            ("src", "Index the folder src into ./genomes-sharded/src."),
            (
                "--profile demo",
                "Build the demo profile into ./genomes-sharded/demo.",
            ),
            (
                "--profile medium --mode sharded --shard-workers 2 --shard-file-workers 3",
                "Build with two worker processes of three file threads each.",
            ),
            (
                "query genomes-sharded/demo \"how is a killed build resumed\"",
                "Search the index.",
            ),
            (
                "verify genomes-sharded/demo",
                "Check every row and digest of the index.",
            ),
        ],
    },
    Page {
        command: "build",
        exits: BUILD_EXITS,
        examples: &[
            (
                "build src docs --name project --exclude fixtures",
                "Index two folders as they are, without a profile.",
            ),
            (
                "build --profile services.toml --out-dir /srv/genomes",
                "Build your own profile.",
            ),
            (
                "build --profile services --json --log-file build.log --metrics-file helix.prom",
                "Build unattended, with a log and figures for Prometheus.",
            ),
            (
                "build --profile services --sparse-model ./splade --dense-model ./minilm --device cuda",
                "Build with your own models on a GPU.",
            ),
        ],
    },
    Page {
        command: "plan",
        exits: &[
            Success,
            Failure,
            Usage,
            Incomplete,
            NothingToIndex,
            FingerprintMismatch,
            Unavailable,
        ],
        examples: &[
            (
                "plan --profile services.toml",
                "List the shards that a build would make.",
            ),
            (
                "plan --profile services.toml --why src/billing/.env",
                "Name the rule that includes or skips a file.",
            ),
        ],
    },
    Page {
        command: "query",
        exits: &[
            Success,
            Failure,
            Usage,
            Incomplete,
            NoSuchOutput,
            FingerprintMismatch,
            Unavailable,
        ],
        examples: &[
            (
                "query \"parse a glob pattern\"",
                "Search the only index in ./genomes-sharded or ./genomes.",
            ),
            (
                "query genomes-sharded/demo \"parse a glob pattern\" -k 3",
                "Print the best three hits.",
            ),
            (
                "query genomes-sharded/demo --queries questions.txt --json",
                "Answer every line of a file.",
            ),
        ],
    },
    Page {
        command: "eval",
        exits: &[
            Success,
            Failure,
            Usage,
            Incomplete,
            NothingToIndex,
            NoSuchOutput,
            FingerprintMismatch,
            Unavailable,
        ],
        examples: &[
            (
                "eval genomes-sharded/demo questions.tsv",
                "Measure every mode on your own questions.",
            ),
            (
                "eval genomes-sharded/demo --generate 500",
                "Measure it on questions from docstrings and headings.",
            ),
            (
                "eval new/demo questions.tsv --against genomes-sharded/demo --mode hybrid",
                "Compare two indexes.",
            ),
            (
                "eval genomes-sharded/demo topics.tsv --qrels qrels.txt --against-no-ranking --each",
                "Show what the ranking does to each question.",
            ),
        ],
    },
    Page {
        command: "verify",
        exits: &[
            Success,
            Failure,
            Usage,
            NoSuchOutput,
            Locked,
            FingerprintMismatch,
            Unavailable,
            VerifyFailed,
        ],
        examples: &[
            ("verify genomes-sharded/demo", "Check everything."),
            (
                "verify genomes-sharded/demo --quick --reencode 50",
                "Check the structure, and encode 50 chunks again.",
            ),
        ],
    },
    Page {
        command: "relocate",
        exits: &[
            Success,
            Failure,
            Usage,
            NoSuchOutput,
            Locked,
            FingerprintMismatch,
        ],
        examples: &[
            (
                "relocate genomes-sharded/demo",
                "Register the shards of a moved or copied index where they lie now.",
            ),
            (
                "relocate genomes-sharded/demo --map /ci/checkout=/srv/sources",
                "Also say that the sources lie elsewhere.",
            ),
        ],
    },
    Page {
        command: "inspect",
        exits: &[Success, Failure, Usage, NoSuchOutput, FingerprintMismatch],
        examples: &[
            ("inspect genomes-sharded/demo", "List the shards."),
            (
                "inspect genomes-sharded/demo src/main.rs",
                "Show a file and its chunks.",
            ),
        ],
    },
    Page {
        command: "init",
        exits: PLAIN_EXITS,
        examples: &[
            ("init src", "Write src.toml for the folder src."),
            ("init --stdout", "Print a profile for the current folder."),
        ],
    },
    Page {
        command: "serve",
        exits: &[
            Success,
            Failure,
            Usage,
            NoSuchOutput,
            FingerprintMismatch,
            Unavailable,
        ],
        examples: &[
            (
                "serve --encoders 11440",
                "Answer the encoder requests of a Helix/Cymatix server on this machine.",
            ),
            (
                "serve genomes-sharded --mcp",
                "Answer the searches of an agent, which starts this command itself.",
            ),
        ],
    },
    Page {
        command: "encode",
        exits: &[Success, Failure, Usage, Incomplete, Unavailable],
        examples: &[
            (
                "encode \"parse a glob pattern\" --json",
                "Print the sparse terms and the dense values of a query.",
            ),
            (
                "encode --passage --texts passages.txt --json",
                "Print those of passages, one a line.",
            ),
        ],
    },
    Page {
        command: "profile",
        exits: PROFILE_EXITS,
        examples: &[(
            "profile list",
            "List the profiles that --profile NAME finds.",
        )],
    },
    Page {
        command: "profile list",
        exits: PLAIN_EXITS,
        examples: &[(
            "profile list",
            "List the profiles that --profile NAME finds.",
        )],
    },
    Page {
        command: "profile show",
        exits: PROFILE_EXITS,
        examples: &[(
            "profile show demo",
            "Show roots, extensions and limits as resolved here.",
        )],
    },
    Page {
        command: "profile check",
        exits: PROFILE_EXITS,
        examples: &[(
            "profile check services.toml",
            "List every mistake in a profile.",
        )],
    },
    Page {
        command: "models",
        exits: MODEL_EXITS,
        examples: &[(
            "models list",
            "List the built-in encoders and the directories found.",
        )],
    },
    Page {
        command: "models list",
        exits: PLAIN_EXITS,
        examples: &[(
            "models list",
            "List the built-in encoders and the directories found.",
        )],
    },
    Page {
        command: "models check",
        exits: MODEL_EXITS,
        examples: &[(
            "models check ./splade ./minilm",
            "Load two models and list every problem.",
        )],
    },
    Page {
        command: "models prepare",
        exits: MODEL_EXITS,
        examples: &[
            (
                "models prepare ./splade --out ./splade-small",
                "Fold pooling into the graph.",
            ),
            (
                "models prepare ./minilm --out ./minilm-int8 --quantize int8",
                "Store the weights in 8 bits, for the CPU.",
            ),
        ],
    },
    Page {
        command: "models fetch",
        exits: MODEL_EXITS,
        examples: &[
            (
                "models fetch minilm",
                "Download all-MiniLM-L6-v2 and check it.",
            ),
            (
                "models fetch hf:OWNER/MODEL@v1.0 --out models/mine",
                "Download a model at a tag.",
            ),
        ],
    },
    Page {
        command: "doctor",
        exits: MODEL_EXITS,
        examples: &[
            (
                "doctor",
                "Check the runtime, the built-in models and the folders.",
            ),
            (
                "doctor --sparse-model ./splade",
                "Try your own model on this machine's devices.",
            ),
        ],
    },
    Page {
        command: "version",
        exits: PLAIN_EXITS,
        examples: &[("version --json", "Print version and format for a script.")],
    },
    Page {
        command: "completions",
        exits: PLAIN_EXITS,
        examples: &[("completions bash", "Print the completion script for bash.")],
    },
    Page {
        command: "man",
        exits: PLAIN_EXITS,
        examples: &[
            ("man", "Print the page of the program."),
            ("man models prepare", "Print the page of a command."),
        ],
    },
];

/// Environment variables without a flag of the same meaning.
pub const VARIABLES: &[(&str, &str)] = &[
    (
        "HELIX_BUILD_LOG",
        "Log filter that overrides -v and -q, for example helix_build::store=trace.",
    ),
    (
        "HELIX_BUILD_PROFILE_DIR",
        "First folder to look for profiles.",
    ),
    (
        "HELIX_BUILD_MODEL_DIR",
        "First folder in which models list looks, and into which models fetch writes.",
    ),
    (
        "HELIX_BUILD_ENCODER_KEY",
        "Key of the encoder servers that --sparse-model and --dense-model name, sent as a bearer token.",
    ),
    (
        "HF_TOKEN",
        "Token that models fetch sends to its server, for private models.",
    ),
    (
        "HELIX_BFM_CRAWL_FACTOR, HELIX_BFM_CRAWL_WINDOW, HELIX_BFM_CRAWL_ACTION",
        "Values of --crawl-factor, --crawl-window and --crawl-action.",
    ),
    (
        "SOURCE_DATE_EPOCH",
        "Time of the build, in seconds since 1970, for reproducible files.",
    ),
    (
        "NO_COLOR, CLICOLOR_FORCE, TERM",
        "Colours and progress bars, as in other programs.",
    ),
    (
        "XDG_CACHE_HOME",
        "Folder to unpack the runtime library in (30 MB, executable).",
    ),
    (
        "TMPDIR",
        "Folder to unpack it in when the cache cannot be used.",
    ),
];

pub const FILES: &[(&str, &str)] = &[
    (
        "DIR-sharded/PROFILE/main.genome.db",
        "Routing database of a sharded index; DIR is --out-dir.",
    ),
    (
        "DIR-sharded/PROFILE/shards/LABEL.genome.db",
        "One shard, usually one root.",
    ),
    ("DIR/PROFILE.db", "The index of --mode blob."),
    (
        "DIR-sharded/manifest.json, DIR/manifest.json",
        "What was built, by profile.",
    ),
    (
        "./profiles, ~/.config/helix-build/profiles",
        "Profiles that --profile NAME finds.",
    ),
    (
        "./models, ~/.local/share/helix-build/models",
        "Model directories that models list finds.",
    ),
    (
        "~/.cache/helix-build/runtime",
        "The unpacked runtime library.",
    ),
];
