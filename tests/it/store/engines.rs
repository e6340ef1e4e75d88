//! The engines, and which tests each of them runs. A new engine has a function here and a line in
//! each group of tests that it can run.

use std::sync::Arc;

use webhook_operator::store::Store;

use crate::store::engine::{Engine, Settings, TestClock};
use crate::store::postgres::PostgresEngine;
use crate::store::postgres::turns::TwoReplicas;
use crate::store::sqlite::SqliteEngine;
use crate::store::world::World;
use crate::support::model_store::ModelStore;

/// The embedded engine.
pub async fn sqlite() -> World {
    World::of(Box::new(SqliteEngine::default()))
}

/// The shared engine, on a database of its own.
pub async fn postgres() -> World {
    World::of(Box::new(PostgresEngine::new().await))
}

/// Two replicas of the shared engine on one database, which take turns.
pub async fn replicas() -> World {
    World::of(Box::new(TwoReplicas(PostgresEngine::new().await)))
}

/// The model itself: a test that it fails asks for more than the other engines are compared with.
pub async fn model() -> World {
    World::of(Box::new(Model::default()))
}

/// Keeps everything, and looks at no clock.
#[derive(Default)]
struct Model(Arc<ModelStore>);

impl Engine for Model {
    fn open(&mut self, _: &Settings, _: &TestClock) -> Arc<dyn Store> {
        self.0.reopen();
        self.0.clone()
    }
}

/// Tests of what every store does.
macro_rules! on_every_engine {
    ($($test:ident),* $(,)?) => {
        $crate::store::engines::on_engine!(sqlite: $($test)*);
        $crate::store::engines::on_engine!(postgres: $($test)*);
        $crate::store::engines::on_engine!(model: $($test)*);
    };
}

/// Tests of stores that outlive a process: they delete what is no longer needed, and reject what
/// would damage them.
macro_rules! on_durable_engines {
    ($($test:ident),* $(,)?) => {
        $crate::store::engines::on_engine!(sqlite: $($test)*);
        $crate::store::engines::on_engine!(postgres: $($test)*);
    };
}

/// Tests of stores that one process uses: its clock is that of all times in them.
macro_rules! on_engines_of_one_process {
    ($($test:ident),* $(,)?) => {
        $crate::store::engines::on_engine!(sqlite: $($test)*);
    };
}

/// Tests that compare many stores with the model.
macro_rules! compared_with_the_model {
    ($test:ident) => {
        $crate::store::engines::compare_engine!(sqlite: $test, 64);
        // A database of its own for each history takes most of the time.
        $crate::store::engines::compare_engine!(postgres: $test, 6);
        $crate::store::engines::compare_engine!(replicas: $test, 6);
    };
}

macro_rules! on_engine {
    ($engine:ident: $($test:ident)*) => {
        mod $engine {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($crate::store::engines::$engine().await).await;
                }
            )*
        }
    };
}

macro_rules! compare_engine {
    ($engine:ident: $test:ident, $cases:literal) => {
        mod $engine {
            #[test]
            fn $test() {
                super::$test($crate::store::engines::$engine, $cases);
            }
        }
    };
}

pub(crate) use {
    compare_engine, compared_with_the_model, on_durable_engines, on_engine,
    on_engines_of_one_process, on_every_engine,
};
