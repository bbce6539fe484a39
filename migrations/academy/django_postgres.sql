-- The learner views over the academy's Django tables in the schema `public` of this database.
-- Run it with the search path on the schema of the views (`academy.schema`):
--
--     create schema academy; set search_path to academy; \i django_postgres.sql
--
-- Nothing of Django is changed. Traps that these views step around: `auth_user.last_login` is set
-- by password log-ins only; `ability_by_subject` is keyed by the subject's number; one
-- `analytics_quizattempt` is one answer, not one quiz; `object_id` points into the table that its
-- content type names, and the numbers of content types differ between installations; a generic
-- `object_id` may point to what was deleted; JSON columns may hold anything.
-- `user_id` stays an `integer` as in Django: a cast would hide its indexes.

create or replace view learner as
select
    u.id as user_id,
    coalesce(nullif(profile.display_name, ''), nullif(u.first_name, ''), u.username)::text as display_name,
    array_remove(
        preference.report_language::text
            || case jsonb_typeof(preference.languages_spoken)
                when 'array' then array(select jsonb_array_elements_text(preference.languages_spoken))
                else '{}'::text[]
            end
            || profile.locale::text,
        null
    ) as languages,
    -- There are no subscriptions: a learner in a paid course counts as premium.
    case
        when exists (
            select from public.enrollment_enrollment e
            join public.django_content_type t on t.id = e.content_type_id and t.app_label = 'courses' and t.model = 'course'
            join public.courses_course c on c.id = e.object_id and c.course_type = 'premium'
            where e.user_id = u.id and e.status <> 'pending'
        ) then 'premium'
        else 'free'
    end as plan,
    u.is_active,
    greatest(
        u.date_joined,
        u.last_login,
        (select max(a.timestamp) from public.analytics_activityevent a where a.user_id = u.id),
        (select max(coalesce(s.last_heartbeat_at, s.login_at)) from public.users_userloginevent s where s.user_id = u.id)
    ) as last_seen_at,
    u.is_staff,
    u.is_superuser
from public.auth_user u
left join public.users_profile profile on profile.user_id = u.id
left join public.users_userpreference preference on preference.user_id = u.id;

create or replace view learner_token as
select t.key, t.user_id
from public.authtoken_token t;

create or replace view learner_ability as
select
    a.user_id,
    a.overall_ability_score as score,
    a.global_rank as rank,
    coalesce(
        (
            select jsonb_object_agg(s.name, subject.score)
            from jsonb_each(case jsonb_typeof(a.ability_by_subject) when 'object' then a.ability_by_subject end)
                as subject (id, score)
            join public.subjects_subject s on s.id::text = subject.id
        ),
        '{}'
    ) as by_subject
from public.intelligence_userabilityprofile a;

create or replace view learner_week as
select
    a.user_id,
    count(*) filter (where a.attempted_at >= now() - interval '7 days') as answered,
    count(*) filter (where a.attempted_at >= now() - interval '7 days' and a.is_correct) as correct,
    count(*) filter (where a.attempted_at < now() - interval '7 days') as answered_before,
    count(*) filter (where a.attempted_at < now() - interval '7 days' and a.is_correct) as correct_before
from public.analytics_quizattempt a
where a.attempted_at >= now() - interval '14 days'
group by a.user_id;

create or replace view learner_due_review as
select m.user_id, coalesce(question.question_text, quiz.title) as text, m.next_review_at as due_at
from public.analytics_memorystat m
join public.django_content_type t on t.id = m.content_type_id and t.app_label = 'quizzes'
left join public.quizzes_question question on t.model = 'question' and question.id = m.object_id
left join public.quizzes_quiz quiz on t.model = 'quiz' and quiz.id = m.object_id
where m.next_review_at <= now() and coalesce(question.question_text, quiz.title) is not null;

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
    a.timestamp as at
from public.analytics_activityevent a
join public.django_content_type t on t.id = a.content_type_id and t.app_label = 'quizzes' and t.model = 'question'
join public.quizzes_question question on question.id = a.object_id
left join public.quizzes_quiz quiz on quiz.id = question.quiz_id
left join public.subjects_subject subject on subject.id = quiz.subject_id
where
    a.event_type = 'quiz_answer_submitted'
    and case jsonb_typeof(a.metadata) when 'object' then a.metadata ->> 'is_correct' end = 'false';

-- Computed matches first; where there are none, quizzes of subjects the learner is interested in.
create or replace view learner_quiz as
select m.user_id, quiz.title, subject.name as subject, quiz.difficulty_level as difficulty, m.match_score
from public.intelligence_matchscore m
join public.django_content_type t on t.id = m.content_type_id and t.app_label = 'quizzes' and t.model = 'quiz'
join public.quizzes_quiz quiz on quiz.id = m.object_id and quiz.status = 'published'
left join public.subjects_subject subject on subject.id = quiz.subject_id
union all
select preference.user_id, quiz.title, subject.name, quiz.difficulty_level, 0
from public.users_userpreference preference
join public.users_userpreference_interested_subjects interest on interest.userpreference_id = preference.id
join public.subjects_subject subject on subject.id = interest.subject_id
join public.quizzes_quiz quiz on quiz.subject_id = subject.id and quiz.status = 'published';

create or replace view learner_interest as
select preference.user_id, subject.name
from public.users_userpreference preference
join public.users_userpreference_interested_subjects interest on interest.userpreference_id = preference.id
join public.subjects_subject subject on subject.id = interest.subject_id
union
select preference.user_id, tag.name
from public.users_userpreference preference
join public.users_userpreference_interested_tags interest on interest.userpreference_id = preference.id
join public.tags_tag tag on tag.id = interest.tag_id;
