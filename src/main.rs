//! The program: parse, run the command, print what went wrong.
#[tokio::main]
async fn main() {
    use dailycast::{bench::*, local::postgres::*, store::*};
    tracing_subscriber::fmt()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or("warn".into()))
        .with_writer(std::io::stderr)
        .init();
    let a: Vec<usize> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let cluster = Cluster::open(std::path::Path::new("/var/lib/dcb"), Durability::On).unwrap();
    let name = format!("bench_{}", std::process::id());
    cluster.create_database(&name, None).await.unwrap();
    let store = Store::new(&Address { url: cluster.url(&name), academy_schema: "academy".into(), max_connections: 10 })
        .unwrap();
    migrate(store.pool()).await.unwrap();
    let r =
        engine(&store, EngineArgs { podcasts: a[0] as u32, concurrency: a[1], workers: a[2] }, |t| eprintln!("{t}"))
            .await
            .unwrap();
    println!("{}", serde_json::to_string_pretty(&r).unwrap());
    store.close().await;
}
