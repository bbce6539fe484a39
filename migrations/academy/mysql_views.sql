-- The learner views over the foreign tables of `mysql_fdw.sql`: what `django_postgres.sql` says, for
-- MySQL's types. Truth is a number, times are UTC without saying so, JSON is text that MySQL has
-- checked. Comparisons with plain columns go to MySQL; what compares a time does not, so a nightly
-- copy (`create materialized view`) is worth it above some ten thousand learners.

create or replace view learner as
select
    u.id as user_id,
    coalesce(nullif(profile.display_name, ''), nullif(u.first_name, ''), u.username)::text as display_name,
    array_remove(
        preference.report_language::text
            || case jsonb_typeof(preference.languages_spoken::jsonb)
                when 'array' then array(select jsonb_array_elements_text(preference.languages_spoken::jsonb))
                else '{}'::text[]
            end
            || profile.locale::text,
        null
    ) as languages,
    -- There are no subscriptions: a learner in a paid course counts as premium.
    case
        when exists (
            select from academy_mysql.enrollment_enrollment e
            join academy_mysql.django_content_type t on t.id = e.content_type_id and t.app_label = 'courses' and t.model = 'course'
            join academy_mysql.courses_course c on c.id = e.object_id and c.course_type = 'premium'
            where e.user_id = u.id and e.status <> 'pending'
        ) then 'premium'
        else 'free'
    end as plan,
    u.is_active <> 0 as is_active,
    greatest(
        u.date_joined,
        u.last_login,
        (select max(a.timestamp) from academy_mysql.analytics_activityevent a where a.user_id = u.id),
        (select max(coalesce(s.last_heartbeat_at, s.login_at)) from academy_mysql.users_userloginevent s where s.user_id = u.id)
    ) at time zone 'UTC' as last_seen_at,
    u.is_staff <> 0 as is_staff,
    u.is_superuser <> 0 as is_superuser
from academy_mysql.auth_user u
left join academy_mysql.users_profile profile on profile.user_id = u.id
left join academy_mysql.users_userpreference preference on preference.user_id = u.id;

create or replace view learner_token as
select t.key, t.user_id
from academy_mysql.authtoken_token t;

create or replace view learner_ability as
select
    a.user_id,
    a.overall_ability_score as score,
    a.global_rank as rank,
    coalesce(
        (
            select jsonb_object_agg(s.name, subject.score)
            from jsonb_each(
                case jsonb_typeof(a.ability_by_subject::jsonb) when 'object' then a.ability_by_subject::jsonb end
            )
                as subject (id, score)
            join academy_mysql.subjects_subject s on s.id::text = subject.id
        ),
        '{}'
    ) as by_subject
from academy_mysql.intelligence_userabilityprofile a;

create or replace view learner_week as
select
    a.user_id,
    count(*) filter (where a.attempted_at >= now() at time zone 'UTC' - interval '7 days') as answered,
    count(*) filter (where a.attempted_at >= now() at time zone 'UTC' - interval '7 days' and a.is_correct <> 0) as correct,
    count(*) filter (where a.attempted_at < now() at time zone 'UTC' - interval '7 days') as answered_before,
    count(*) filter (where a.attempted_at < now() at time zone 'UTC' - interval '7 days' and a.is_correct <> 0) as correct_before
from academy_mysql.analytics_quizattempt a
where a.attempted_at >= now() at time zone 'UTC' - interval '14 days'
group by a.user_id;

create or replace view learner_due_review as
select m.user_id, coalesce(question.question_text, quiz.title) as text, m.next_review_at at time zone 'UTC' as due_at
from academy_mysql.analytics_memorystat m
join academy_mysql.django_content_type t on t.id = m.content_type_id and t.app_label = 'quizzes'
left join academy_mysql.quizzes_question question on t.model = 'question' and question.id = m.object_id
left join academy_mysql.quizzes_quiz quiz on t.model = 'quiz' and quiz.id = m.object_id
where m.next_review_at <= now() at time zone 'UTC' and coalesce(question.question_text, quiz.title) is not null;

create or replace view learner_mistake as
select
    a.user_id,
    question.question_text as question,
    subject.name as subject,
    case question.question_type
        when 'mcq' then
            (array[question.option1, question.option2, question.option3, question.option4])[question.correct_option]
        when 'short' then question.correct_answer
    end as correct_answer,
    a.timestamp at time zone 'UTC' as at
from academy_mysql.analytics_activityevent a
join academy_mysql.django_content_type t on t.id = a.content_type_id and t.app_label = 'quizzes' and t.model = 'question'
join academy_mysql.quizzes_question question on question.id = a.object_id
left join academy_mysql.quizzes_quiz quiz on quiz.id = question.quiz_id
left join academy_mysql.subjects_subject subject on subject.id = quiz.subject_id
where
    a.event_type = 'quiz_answer_submitted'
    and case jsonb_typeof(a.metadata::jsonb) when 'object' then a.metadata::jsonb ->> 'is_correct' end = 'false';

-- Computed matches first; where there are none, quizzes of subjects the learner is interested in.
create or replace view learner_quiz as
select m.user_id, quiz.title, subject.name as subject, quiz.difficulty_level as difficulty, m.match_score
from academy_mysql.intelligence_matchscore m
join academy_mysql.django_content_type t on t.id = m.content_type_id and t.app_label = 'quizzes' and t.model = 'quiz'
join academy_mysql.quizzes_quiz quiz on quiz.id = m.object_id and quiz.status = 'published'
left join academy_mysql.subjects_subject subject on subject.id = quiz.subject_id
union all
select preference.user_id, quiz.title, subject.name, quiz.difficulty_level, 0
from academy_mysql.users_userpreference preference
join academy_mysql.users_userpreference_interested_subjects interest on interest.userpreference_id = preference.id
join academy_mysql.subjects_subject subject on subject.id = interest.subject_id
join academy_mysql.quizzes_quiz quiz on quiz.subject_id = subject.id and quiz.status = 'published';

create or replace view learner_interest as
select preference.user_id, subject.name
from academy_mysql.users_userpreference preference
join academy_mysql.users_userpreference_interested_subjects interest on interest.userpreference_id = preference.id
join academy_mysql.subjects_subject subject on subject.id = interest.subject_id
union
select preference.user_id, tag.name
from academy_mysql.users_userpreference preference
join academy_mysql.users_userpreference_interested_tags interest on interest.userpreference_id = preference.id
join academy_mysql.tags_tag tag on tag.id = interest.tag_id;
