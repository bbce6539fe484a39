# Shorthand for those who have just; nothing here is needed to build, run or test.

# List the recipes.
default:
    @just --list --unsorted

# Run the whole product on this machine, without keys.
demo *options:
    cargo xtask demo {{ options }}

# Install what is missing, check the style, run every test.
test *filters:
    cargo xtask test {{ filters }}

# What runs on every change.
ci:
    .ci/run

# Format the sources.
fmt:
    cargo fmt --all

# Look for mistakes without running anything.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Write .sqlx from the database at DATABASE_URL.
prepare *options:
    cargo xtask prepare {{ options }}

# Look for bytes that bring a parser down (targets: the folders of tests/fuzz/corpus).
fuzz target seconds="600" *options:
    tests/fuzz/run {{ target }} {{ seconds }} {{ options }}

# Nights in which something goes wrong, with real processes.
faults:
    cargo test --test all faults::

# 10,000 podcasts with 200 kills and every fault; lasts for many minutes. DAILYCAST_FAULTS_SEED repeats one.
soak:
    cargo test --release --test all -- --ignored --nocapture a_night_of_10000_learners

# A night of 2,000 learners as slow as a real one, with a fifth of faults; lasts for many minutes.
vendors-night:
    cargo test --release --test all -- --ignored --nocapture a_night_of_2000_learners
