-- The academy's tables, the columns that the views read, with Django's types on Postgres, and a
-- few learners with what has been seen in them.
create table auth_user (
    id int primary key, username varchar(150) not null, first_name varchar(150) not null, is_active boolean not null,
    is_staff boolean not null, is_superuser boolean not null, last_login timestamptz, date_joined timestamptz not null
);
create table authtoken_token (key varchar(40) primary key, user_id int not null);
create table users_profile (user_id int not null, display_name varchar(60) not null, locale varchar(5) not null);
create table users_userpreference (
    id bigint primary key, user_id int not null, report_language varchar(12) not null, languages_spoken jsonb not null
);
create table users_userpreference_interested_subjects (userpreference_id bigint not null, subject_id bigint not null);
create table users_userpreference_interested_tags (userpreference_id bigint not null, tag_id bigint not null);
create table users_userloginevent (user_id int not null, login_at timestamptz not null, last_heartbeat_at timestamptz);
create table intelligence_userabilityprofile (
    user_id int not null, overall_ability_score float8 not null, ability_by_subject jsonb not null, global_rank int
);
create table intelligence_matchscore (
    user_id int not null, content_type_id int not null, object_id int not null, match_score float8 not null
);
create table analytics_memorystat (
    user_id int not null, content_type_id int not null, object_id int not null, next_review_at timestamptz
);
create table analytics_activityevent (
    user_id int, event_type varchar(50) not null, content_type_id int, object_id int, "timestamp" timestamptz not null,
    metadata jsonb
);
create table analytics_quizattempt (
    user_id int not null, quiz_id bigint not null, is_correct boolean not null, attempted_at timestamptz not null
);
create table enrollment_enrollment (
    user_id int not null, content_type_id int not null, object_id int not null, status varchar(20) not null
);
create table courses_course (id bigint primary key, course_type varchar(10) not null);
create table quizzes_quiz (
    id bigint primary key, title varchar(200) not null, subject_id bigint, status varchar(10) not null,
    difficulty_level varchar(10)
);
create table quizzes_question (
    id bigint primary key, quiz_id bigint not null, question_type varchar(20) not null, question_text text not null,
    option1 text, option2 text, option3 text, option4 text, correct_option smallint, correct_answer varchar(255)
);
create table subjects_subject (id bigint primary key, name varchar(100) not null);
create table tags_tag (id bigint primary key, name varchar(191) not null);
create table django_content_type (id int primary key, app_label varchar(100) not null, model varchar(100) not null);

-- Numbers of content types differ between installations.
insert into django_content_type values
    (31, 'quizzes', 'quiz'), (32, 'quizzes', 'question'), (33, 'courses', 'course'), (34, 'lessons', 'lesson');
insert into subjects_subject values (1, 'Grammar'), (2, 'Listening');
insert into tags_tag values (1, 'verbs');
insert into courses_course values (5, 'premium'), (6, 'free');
insert into quizzes_quiz values
    (1, 'Verbs', 1, 'published', 'easy'), (2, 'Better, but a draft', 1, 'draft', 'hard'), (3, 'Sounds', 2, 'published', null);
insert into quizzes_question values
    (1, 1, 'mcq', '<p>I ___ home.</p>', 'go', 'went', 'gone', 'goed', 2, null),
    (2, 1, 'short', 'The past of "see"?', null, null, null, null, null, 'saw'),
    (3, 1, 'sort', 'Sort these.', null, null, null, null, null, null);

-- 42 has done everything, 43 nothing at all, 44 has closed the account, 45 has odd data.
insert into auth_user values
    (42, 'sarah', 'Sarah', true, false, false, now() - interval '90 days', now() - interval '100 days'),
    (43, 'newcomer', '', true, true, true, null, now() - interval '20 days'),
    (44, 'gone', 'Gone', false, false, false, null, now() - interval '1 day'),
    (45, 'odd', 'Odd', true, true, false, null, now() - interval '1 day');
insert into authtoken_token values (repeat('a', 40), 42), (repeat('b', 40), 44);
insert into users_profile values (42, 'Sarah 花', 'ja'), (45, '', 'en');
insert into users_userpreference values (7, 42, 'en', '["es", "en"]'), (8, 45, 'fr', '{"not": "a list"}');
insert into users_userpreference_interested_subjects values (7, 1), (8, 2);
insert into users_userpreference_interested_tags values (7, 1);
insert into users_userloginevent values (42, now() - interval '40 days', null);
insert into intelligence_userabilityprofile values
    (42, 520.5, '{"1": 420, "2": 610.5, "99": 1, "x": 2}', 3), (45, 300, '[]', null);
insert into intelligence_matchscore values (42, 31, 1, 70), (42, 31, 2, 99), (42, 32, 3, 98);
insert into analytics_memorystat values
    (42, 32, 2, now() - interval '1 day'), (42, 31, 3, now() - interval '2 days'), (42, 32, 999, now() - interval '3 days'),
    (42, 34, 1, now() - interval '4 days'), (42, 32, 1, now() + interval '1 day');
insert into analytics_activityevent values
    (42, 'quiz_answer_submitted', 32, 1, now() - interval '3 days', '{"is_correct": false}'),
    (42, 'quiz_answer_submitted', 32, 2, now() - interval '2 days', '{"is_correct": true}'),
    (42, 'quiz_answer_submitted', 32, 3, now() - interval '4 days', '{"is_correct": false}'),
    (45, 'quiz_answer_submitted', 32, 1, now() - interval '3 days', '17'),
    (45, 'quiz_completed', null, null, now() - interval '1 hour', null);
insert into analytics_quizattempt
    select 42, 1, n <= 7, now() - interval '1 day' from generate_series(1, 10) n
    union all select 42, 1, n <= 3, now() - interval '9 days' from generate_series(1, 8) n
    union all select 42, 1, true, now() - interval '30 days' from generate_series(1, 5) n;
insert into enrollment_enrollment values
    (42, 33, 5, 'active'), (45, 33, 5, 'pending'), (45, 33, 6, 'active'), (45, 31, 5, 'active');
