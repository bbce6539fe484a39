//! Scripts: clean facts, the template in five languages, and the chain of writers.

use chrono::NaiveDate;
use dailycast::workflow::{Seed, Speakable, Workflow};
use std::time::Duration;

#[test]
fn look() {
    let workflow = Workflow::builtin().unwrap_or_else(|error| panic!("{error}"));
    for tag in workflow.languages() {
        for sample in ["nothing_known", "one_answer", "everything_known", "japanese"] {
            let facts: Speakable =
                serde_json::from_str(&std::fs::read_to_string(format!("workflows/samples/{sample}.json")).unwrap())
                    .unwrap();
            let date = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
            let script = workflow.write_template(tag, &facts, Seed { user_id: 7, date }).unwrap();
            let pace = workflow.language(tag).unwrap().pace;
            std::fs::write(format!("/tmp/look-{tag}-{sample}.txt"), &script.text).unwrap();
            println!("{tag} {sample} {} {:?}", pace.count(&script.text), pace.time(&script.text));
        }
    }
    let _ = Duration::ZERO;
}
