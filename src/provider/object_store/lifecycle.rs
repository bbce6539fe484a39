//! The rule of the bucket that lets episodes expire: read, merged with what is there, written back.
//!
//! S3 keeps all rules of a bucket in one document, so every rule of others goes back as it came,
//! as far as the client knows its fields. There is no way to write only if nobody else did
//! meanwhile; so nothing is written while the rule is right, and two of us who write at once write
//! the same.
//!
//! What would surprise: rules of the first format (a prefix without a filter) do not go together
//! with those of the second, so ours takes the format of the others. S3 deletes at midnight UTC
//! after the last day, later when it is busy; in a bucket with versions it only hides the object,
//! and the old versions are for a rule of the operator's.

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    TransitionDefaultMinimumObjectSize,
};

use super::s3::{Refusal, S3Store};
use crate::podcast::Failure;

/// The name of our rule.
pub const RULE: &str = "dailycast-podcasts";

/// What every episode's key begins with.
pub const PREFIX: &str = "podcasts/";

/// Whether old episodes go by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// The rule is there.
    InForce,
    /// The rule was made or corrected just now.
    Installed,
    /// There is no rule, or one with another number of days.
    Missing,
}

/// Why nothing is known about the rule, or nothing could be done about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", failure.message)]
pub struct Obstacle {
    /// What happened.
    pub failure: Failure,
    /// What the operator does about it.
    pub mend: String,
}

/// The rules of a bucket as they are.
struct Rules {
    rules: Vec<LifecycleRule>,
    /// Belongs to the document, and would be reset without a word.
    smallest: Option<TransitionDefaultMinimumObjectSize>,
}

/// Looks whether episodes expire after `days`; changes nothing.
///
/// # Errors
/// [`Obstacle`].
pub async fn look(store: &S3Store, days: u32) -> Result<Expiry, Obstacle> {
    let found = read(store).await.map_err(|refusal| obstacle(refusal, days))?;
    Ok(if is_in_force(&found.rules, days) { Expiry::InForce } else { Expiry::Missing })
}

/// Makes sure that episodes expire after `days`. Never answers [`Expiry::Missing`].
///
/// # Errors
/// [`Obstacle`]; the rules are as they were.
pub async fn ensure(store: &S3Store, days: u32) -> Result<Expiry, Obstacle> {
    let ensured = async {
        let Rules { rules, smallest } = read(store).await?;
        let Some(rules) = merged(rules, days) else { return Ok(Expiry::InForce) };
        let document = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
        let put = store.client.put_bucket_lifecycle_configuration().bucket(&store.settings.bucket);
        let put = put.set_transition_default_minimum_object_size(smallest);
        put.lifecycle_configuration(document.map_err(|_| Refusal::default())?).send().await.map_err(Refusal::from)?;
        Ok(Expiry::Installed)
    };
    ensured.await.map_err(|refusal| obstacle(refusal, days))
}

async fn read(store: &S3Store) -> Result<Rules, Refusal> {
    let asked = store.client.get_bucket_lifecycle_configuration().bucket(&store.settings.bucket).send().await;
    match asked.map_err(Refusal::from) {
        Ok(found) => {
            Ok(Rules { rules: found.rules.unwrap_or_default(), smallest: found.transition_default_minimum_object_size })
        }
        Err(refusal) if refusal.code.as_deref() == Some("NoSuchLifecycleConfiguration") => {
            Ok(Rules { rules: Vec::new(), smallest: None })
        }
        Err(refusal) => Err(refusal),
    }
}

fn is_ours(rule: &LifecycleRule) -> bool {
    rule.id.as_deref() == Some(RULE)
}

/// True when our rule says so or, without one of ours, anybody's.
fn is_in_force(rules: &[LifecycleRule], days: u32) -> bool {
    match rules.iter().find(|rule| is_ours(rule)) {
        Some(ours) => expires_episodes(ours, days),
        None => rules.iter().any(|rule| expires_episodes(rule, days)),
    }
}

/// All rules with ours among them; `None` when nothing is to be changed.
fn merged(mut rules: Vec<LifecycleRule>, days: u32) -> Option<Vec<LifecycleRule>> {
    if is_in_force(&rules, days) {
        return None;
    }
    let place = rules.iter().position(is_ours).unwrap_or(rules.len());
    rules.retain(|rule| !is_ours(rule));
    let ours = rule(days, rules.iter().any(is_of_first_format))?;
    rules.insert(place, ours);
    Some(rules)
}

/// Our rule.
#[expect(deprecated, reason = "a bucket whose rules are of the first format takes no other")]
fn rule(days: u32, first_format: bool) -> Option<LifecycleRule> {
    let expiration = LifecycleExpiration::builder().days(i32::try_from(days).unwrap_or(i32::MAX)).build();
    let rule = LifecycleRule::builder().id(RULE).status(ExpirationStatus::Enabled).expiration(expiration);
    let rule = if first_format {
        rule.prefix(PREFIX)
    } else {
        rule.filter(LifecycleRuleFilter::builder().prefix(PREFIX).build())
    };
    rule.build().ok()
}

#[expect(deprecated, reason = "rules of the first format are still about")]
fn is_of_first_format(rule: &LifecycleRule) -> bool {
    rule.filter.is_none() && rule.prefix.is_some()
}

/// True when the rule deletes every episode after `days`, and no other object.
#[expect(deprecated, reason = "rules of the first format are still about")]
fn expires_episodes(rule: &LifecycleRule, days: u32) -> bool {
    let of_all = |filter: &LifecycleRuleFilter| {
        let sizes = filter.object_size_greater_than.or(filter.object_size_less_than);
        filter.tag.is_none() && filter.and.is_none() && sizes.is_none()
    };
    let prefix = match &rule.filter {
        Some(filter) if of_all(filter) => filter.prefix.as_ref(),
        Some(_) => None,
        None => rule.prefix.as_ref(),
    };
    let after = rule.expiration.as_ref().and_then(|expiration| expiration.days);
    rule.status == ExpirationStatus::Enabled
        && prefix.is_some_and(|prefix| prefix == PREFIX)
        && after.is_some_and(|after| u32::try_from(after) == Ok(days))
}

/// A refusal with what helps against it.
fn obstacle(refusal: Refusal, days: u32) -> Obstacle {
    let by_hand = format!("let another program delete objects below {PREFIX} after {days} days");
    let mend = match (refusal.status, refusal.code.as_deref()) {
        (Some(405 | 501), _) => format!("this store has no lifecycle rules: {by_hand}"),
        (Some(401 | 403), _) => format!(
            "allow the key s3:GetLifecycleConfiguration and s3:PutLifecycleConfiguration on the bucket, or {by_hand}"
        ),
        (Some(404), _) => "make the bucket, or set storage.s3.bucket".to_owned(),
        _ => "it is tried again while a worker runs; `dailycast doctor` shows how it stands".to_owned(),
    };
    Obstacle { failure: refusal.into_failure(), mend }
}
