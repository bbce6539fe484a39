-- The academy's Django tables in MySQL, as foreign tables of this Postgres. First this file, then
-- `mysql_views.sql`, both with the search path on the schema of the views (`academy.schema`):
--
--     psql -v host=mysql.internal -v database=zporta -v user=dailycast_reader -v password=... \
--          -c 'create schema academy; set search_path to academy' -f mysql_fdw.sql -f mysql_views.sql
--
-- Needs the extension mysql_fdw (Debian: postgresql-15-mysql-fdw) and a MySQL user who may select
-- these columns. Types: `tinyint(1)` comes as smallint, `datetime(6)` as a timestamp without zone
-- that means UTC, `json` and `longtext` as text, `int unsigned` as bigint. Only the columns that are
-- read are named; password hashes and e-mail addresses stay where they are.

create extension if not exists mysql_fdw with schema public;

create server if not exists academy_mysql foreign data wrapper mysql_fdw options (host :'host', port '3306');
create user mapping if not exists for current_user server academy_mysql
    options (username :'user', password :'password');

create schema if not exists academy_mysql;

create foreign table if not exists academy_mysql.auth_user (
    id int, username text, first_name text, is_active smallint, is_staff smallint, is_superuser smallint,
    last_login timestamp, date_joined timestamp
) server academy_mysql options (dbname :'database', table_name 'auth_user');

create foreign table if not exists academy_mysql.authtoken_token (
    key text, user_id int
) server academy_mysql options (dbname :'database', table_name 'authtoken_token');

create foreign table if not exists academy_mysql.users_profile (
    user_id int, display_name text, locale text
) server academy_mysql options (dbname :'database', table_name 'users_profile');

create foreign table if not exists academy_mysql.users_userpreference (
    id bigint, user_id int, report_language text, languages_spoken text
) server academy_mysql options (dbname :'database', table_name 'users_userpreference');

create foreign table if not exists academy_mysql.users_userpreference_interested_subjects (
    userpreference_id bigint, subject_id bigint
) server academy_mysql options (dbname :'database', table_name 'users_userpreference_interested_subjects');

create foreign table if not exists academy_mysql.users_userpreference_interested_tags (
    userpreference_id bigint, tag_id bigint
) server academy_mysql options (dbname :'database', table_name 'users_userpreference_interested_tags');

create foreign table if not exists academy_mysql.users_userloginevent (
    user_id int, login_at timestamp, last_heartbeat_at timestamp
) server academy_mysql options (dbname :'database', table_name 'users_userloginevent');

create foreign table if not exists academy_mysql.intelligence_userabilityprofile (
    user_id int, overall_ability_score double precision, ability_by_subject text, global_rank int
) server academy_mysql options (dbname :'database', table_name 'intelligence_userabilityprofile');

create foreign table if not exists academy_mysql.intelligence_matchscore (
    user_id int, content_type_id int, object_id bigint, match_score double precision
) server academy_mysql options (dbname :'database', table_name 'intelligence_matchscore');

create foreign table if not exists academy_mysql.analytics_memorystat (
    user_id int, content_type_id int, object_id bigint, next_review_at timestamp
) server academy_mysql options (dbname :'database', table_name 'analytics_memorystat');

create foreign table if not exists academy_mysql.analytics_activityevent (
    user_id int, event_type text, content_type_id int, object_id bigint, "timestamp" timestamp, metadata text
) server academy_mysql options (dbname :'database', table_name 'analytics_activityevent');

create foreign table if not exists academy_mysql.analytics_quizattempt (
    user_id int, quiz_id bigint, is_correct smallint, attempted_at timestamp
) server academy_mysql options (dbname :'database', table_name 'analytics_quizattempt');

create foreign table if not exists academy_mysql.enrollment_enrollment (
    user_id int, content_type_id int, object_id bigint, status text
) server academy_mysql options (dbname :'database', table_name 'enrollment_enrollment');

create foreign table if not exists academy_mysql.courses_course (
    id bigint, course_type text
) server academy_mysql options (dbname :'database', table_name 'courses_course');

create foreign table if not exists academy_mysql.quizzes_quiz (
    id bigint, title text, subject_id bigint, status text, difficulty_level text
) server academy_mysql options (dbname :'database', table_name 'quizzes_quiz');

create foreign table if not exists academy_mysql.quizzes_question (
    id bigint, quiz_id bigint, question_type text, question_text text, option1 text, option2 text, option3 text,
    option4 text, correct_option smallint, correct_answer text
) server academy_mysql options (dbname :'database', table_name 'quizzes_question');

create foreign table if not exists academy_mysql.subjects_subject (
    id bigint, name text
) server academy_mysql options (dbname :'database', table_name 'subjects_subject');

create foreign table if not exists academy_mysql.tags_tag (
    id bigint, name text
) server academy_mysql options (dbname :'database', table_name 'tags_tag');

create foreign table if not exists academy_mysql.django_content_type (
    id int, app_label text, model text
) server academy_mysql options (dbname :'database', table_name 'django_content_type');
