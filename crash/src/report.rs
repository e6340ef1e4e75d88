//! What a run says in the end.

use bench_kit::table::{self, row};

use crate::ledger::{Answers, Outcome};
use crate::load::WEBHOOKS;
use crate::run::Report;

/// More missing ids than anybody looks up.
const MAX_IDS: usize = 50;

impl Report {
    /// Whether every promise was kept.
    pub fn is_good(&self) -> bool {
        let ledger = self.ledger.borrow();
        !self.pending && ledger.missing(&self.dead).is_empty() && ledger.problems().is_empty()
    }

    /// Prints what was done, a table of all webhooks, and what is wrong.
    pub fn print(&self) {
        let counts = &self.counts;
        println!(
            "operator killed {} times while it served and {} times while it started; listener killed {} \
             times, {} answers late; drained in {:.1} s",
            counts.kills_serving,
            counts.kills_starting,
            counts.listener_kills,
            counts.late_answers,
            counts.seconds_to_drain,
        );
        table::print(&self.rows());
        self.print_what_is_wrong();
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let ledger = self.ledger.borrow();
        let head = row([
            "webhook",
            "202",
            "200 duplicate",
            "429/503",
            "no answer",
            "promised",
            "delivered",
            "dead",
            "missing",
            "unpromised",
            "again",
        ]);
        let rows = WEBHOOKS.iter().enumerate().map(|(index, webhook)| {
            let Answers { accepted, duplicates, refused, none } = ledger.answers[index];
            let Outcome { promised, delivered, dead, missing, unpromised, again } =
                ledger.outcome(index, &self.dead);
            let figures = [
                accepted, duplicates, refused, none, promised, delivered, dead, missing,
                unpromised, again,
            ];
            let figures = figures.iter().map(u64::to_string);
            std::iter::once(webhook.name.to_owned()).chain(figures).collect()
        });
        std::iter::once(head).chain(rows).collect()
    }

    fn print_what_is_wrong(&self) {
        let ledger = self.ledger.borrow();
        for (id, webhook, number) in ledger.missing(&self.dead).iter().take(MAX_IDS) {
            println!("MISSING {id} of {webhook}, number {number}");
        }
        for problem in ledger.problems() {
            println!("WRONG {problem}");
        }
        if self.pending {
            println!("WRONG the store holds deliveries that do not end");
        }
    }
}
