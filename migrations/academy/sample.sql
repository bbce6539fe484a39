-- A generated academy: two wide tables, a catalogue of questions and quizzes, and the learner
-- views over them. Names carry no schema: the search path decides where they go, so that any
-- `academy.schema` will do. Filled by `src/local/academy.rs`. Safe to run again.
--
-- Times are kept as ages ("seen two days ago"), so the sample never grows stale.

create table if not exists sample_learner (
    user_id        bigint primary key,
    token          text not null unique,
    display_name   text not null,
    languages      text[] not null,
    plan           text not null,
    is_active      boolean not null,
    seen_ago       interval not null,
    is_staff       boolean not null default false,
    is_superuser   boolean not null default false,
    -- null: has not answered enough to be ranked
    score          float8,
    rank           int,
    by_subject     jsonb,
    answered         int not null default 0,
    correct          int not null default 0,
    answered_before  int not null default 0,
    correct_before   int not null default 0,
    -- keys of sample_question and sample_quiz
    due_questions    int[] not null default '{}',
    missed_questions int[] not null default '{}',
    quizzes          int[] not null default '{}',
    interests        text[] not null default '{}'
);

create table if not exists sample_question (
    id             int primary key,
    subject        text not null,
    question       text not null,
    correct_answer text
);

create table if not exists sample_quiz (
    id         int primary key,
    title      text not null,
    subject    text,
    difficulty text
);

-- What the tables were filled with; one line, or none.
create table if not exists sample_fill (
    only_one  boolean primary key default true check (only_one),
    learners  int not null,
    seed      bigint not null,
    version   int not null
);

create or replace view learner as
select user_id, display_name, languages, plan, is_active, now() - seen_ago as last_seen_at, is_staff, is_superuser
from sample_learner;

create or replace view learner_token as
select token as key, user_id
from sample_learner;

create or replace view learner_ability as
select user_id, score, rank, by_subject
from sample_learner
where score is not null;

create or replace view learner_week as
select user_id, answered, correct, answered_before, correct_before
from sample_learner
where answered + answered_before > 0;

create or replace view learner_due_review as
select l.user_id, q.question as text, now() - due.place * interval '7 hours' as due_at
from sample_learner l
cross join unnest(l.due_questions) with ordinality as due (question_id, place)
join sample_question q on q.id = due.question_id;

create or replace view learner_mistake as
select l.user_id, q.question, q.subject, q.correct_answer, now() - missed.place * interval '11 hours' as at
from sample_learner l
cross join unnest(l.missed_questions) with ordinality as missed (question_id, place)
join sample_question q on q.id = missed.question_id;

create or replace view learner_quiz as
select l.user_id, q.title, q.subject, q.difficulty, 100.0::float8 - 7 * matched.place as match_score
from sample_learner l
cross join unnest(l.quizzes) with ordinality as matched (quiz_id, place)
join sample_quiz q on q.id = matched.quiz_id;

create or replace view learner_interest as
select user_id, unnest(interests) as name
from sample_learner;

insert into sample_question (id, subject, question, correct_answer) values
    (1,  'Past Tense Verbs', 'Yesterday I ___ to the library. (go)', 'went'),
    (2,  'Past Tense Verbs', 'She ___ her keys last night. (lose)', 'lost'),
    (3,  'Past Tense Verbs', '<p>They <b>have</b> ___ dinner already. (eat)</p>', 'eaten'),
    (4,  'English Grammar', 'Choose the article: I saw ___ elephant.', 'an'),
    (5,  'English Grammar', 'If it ___ tomorrow, we will stay at home. (rain)', 'rains'),
    (6,  'English Grammar', '<p>Which is right: &quot;fewer books&quot; or &quot;less books&quot;?</p>', 'fewer books'),
    (7,  'Vocabulary', 'What is the opposite of "generous"?', 'mean'),
    (8,  'Vocabulary', 'Which word means "to put off until later"?', 'postpone'),
    (9,  'Vocabulary', '「約束」を英語で何と言いますか。', 'promise'),
    (10, 'Pronunciation', 'Which syllable of "photography" carries the stress?', 'the second'),
    (11, 'Pronunciation', 'Does "though" rhyme with "go" or with "cough"?', 'go'),
    (12, 'Fractions', 'What is one half plus one third?', 'five sixths'),
    (13, 'Fractions', '<p>Simplify 18 &divide; 24.</p>', 'three quarters'),
    (14, 'Geometry', 'How many degrees do the angles of a triangle add up to?', '180'),
    (15, 'Geometry', 'A circle has a radius of 3 cm. How long is its diameter?', '6 cm'),
    (16, 'World History', 'In which year did the Berlin Wall fall?', '1989'),
    (17, 'World History', 'Which city was buried by Vesuvius in the year 79?', 'Pompeii'),
    (18, 'Biology', 'Which part of a plant cell turns light into sugar?', 'the chloroplast'),
    (19, 'Biology', 'Put these in order: cell, tissue, organ, organism.', null),
    (20, 'Business English', 'Which closing fits a letter that begins with "Dear Sir or Madam"?', 'Yours faithfully')
on conflict (id) do nothing;

insert into sample_quiz (id, title, subject, difficulty) values
    (1,  'Past Tense in Everyday Stories', 'Past Tense Verbs', 'medium'),
    (2,  'Irregular Verbs, Part 2', 'Past Tense Verbs', 'easy'),
    (3,  'Conditionals & Articles', 'English Grammar', 'medium'),
    (4,  'Words That Sound Alike', 'Pronunciation', 'hard'),
    (5,  'Five Hundred Useful Words', 'Vocabulary', 'easy'),
    (6,  '日本人のための英単語', 'Vocabulary', 'medium'),
    (7,  'Adding Fractions', 'Fractions', 'easy'),
    (8,  'Circles and Triangles', 'Geometry', 'hard'),
    (9,  'Europe after 1945', 'World History', 'expert'),
    (10, 'How Cells Live', 'Biology', 'medium'),
    (11, 'Letters and Meetings', 'Business English', null),
    (12, 'A Little of Everything', null, 'easy')
on conflict (id) do nothing;
