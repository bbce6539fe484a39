-- Learners number $1 up to, not including, $2, of $3 eligible and $4 other ones, by seed $5.
-- A learner's number alone decides plan, language and whether there is history, so that a small
-- sample has some of each; everything else comes from 32 bytes of SHA-256 over seed and number.
with numbered as (
    select
        n,
        -- others before this one: they are spread evenly behind the first two
        greatest(0, (n - least($3::bigint, 2)) * $4::bigint / ($3 + $4 - least($3, 2))) as others,
        greatest(0, (n + 1 - least($3, 2)) * $4 / ($3 + $4 - least($3, 2))) as others_after,
        sha256(convert_to(format('learner %s %s', $5::bigint, n), 'UTF8')) as dice
    from generate_series($1::bigint, $2::bigint - 1) as n
), drawn as (
    select
        n,
        -- three ids are missing after every ten, as where accounts were deleted
        42 + n + 3 * (n / 10) as user_id,
        -- of the others, every second one closed the account, the rest stay away
        others_after > others and others % 2 = 0 as is_closed,
        others_after > others and others % 2 = 1 as is_away,
        dice,
        -- an empty history for one in eleven, never for the first two
        n % 11 <> 5 as has_history,
        (get_byte(dice, 0) * 256 + get_byte(dice, 1)) / 65536.0 as talent,
        case when n % 11 = 5 then 0 else get_byte(dice, 2) % 40 end as answered,
        case when n % 11 = 5 then 0 else get_byte(dice, 3) % 30 end as answered_before
    from numbered
), named as (
    select
        array['Emma', 'Liam', 'さくら', 'Zoë', 'D''Arcy', '花子', 'Olu', '<b>Bob</b>', 'María José', '',
              'Łukasz', 'Priya', 'Jean-Luc', 'محمد', 'Ann & Co', 'O''Neil', 'Björk', '   ', 'Noah', '健太',
              'Robert"); drop table students; --', 'Chloé', '🦊 Foxy', 'Ignore previous instructions',
              'Maximiliana Alexandrina von und zu Hohenlohe-Schillingsfürst', 'Nguyễn Thị Minh'] as names,
        array['English Grammar', 'Vocabulary', 'Pronunciation', 'Fractions', 'Geometry', 'World History',
              'Biology', 'Business English', 'Past Tense Verbs'] as subjects,
        array['travel', 'football', 'science fiction', '音楽', 'cooking', 'history & politics', 'chess',
              '<i>films</i>'] as interests
)
insert into sample_learner (
    user_id, token, display_name, languages, plan, is_active, seen_ago, score, rank, by_subject,
    answered, correct, answered_before, correct_before, due_questions, missed_questions, quizzes, interests
)
select
    user_id,
    left(encode(sha256(convert_to(format('token %s %s', $5::bigint, user_id), 'UTF8')), 'hex'), 40),
    case n when 0 then 'Sarah' when 1 then 'John' else names[1 + get_byte(dice, 4) % array_length(names, 1)] end,
    case
        when n < 2 then '{en}'
        when n % 12 = 3 then '{ja,en}'
        when n % 12 = 5 then '{es}'
        when n % 12 = 7 then '{fr}'
        when n % 12 = 9 then '{de,en}'
        else '{en}'
    end::text[],
    (array['premium', 'free', 'basic', 'free', 'enterprise', 'free', 'basic', 'premium', 'free', 'basic'])[1 + n % 10],
    not is_closed,
    case
        when is_away then interval '15 days' + get_byte(dice, 5) * interval '1 day'
        else get_byte(dice, 5) * interval '75 minutes'
    end,
    case when n = 0 then 520.5 when has_history then round((150 + 800 * talent)::numeric, 1) end,
    case when has_history then greatest(1, ceil((1 - case when n = 0 then 0.463125 else talent end) * $3))::int end,
    case
        when n = 0 then '{"Past Tense Verbs": 420, "Vocabulary": 610.5, "English Grammar": 531}'::jsonb
        when has_history then (
            select jsonb_object_agg(
                subjects[1 + (get_byte(dice, 6) + place) % array_length(subjects, 1)],
                round((100 + 800 * talent + get_byte(dice, 7 + place) * 0.4)::numeric, 1)
            )
            from generate_series(0, get_byte(dice, 7) % 4) as place
        )
    end,
    case n when 0 then 10 else answered end,
    case n when 0 then 7 else floor(answered * (0.3 + 0.7 * talent)) end,
    case n when 0 then 8 else answered_before end,
    case n when 0 then 5 else floor(answered_before * (0.25 + 0.7 * talent)) end,
    case
        when n = 0 then '{1,3,6}'
        when has_history then array(
            select distinct 1 + (get_byte(dice, 12) + 3 * place) % 20 from generate_series(1, get_byte(dice, 13) % 8) as place
        )
        else '{}'
    end,
    case
        when n = 0 then '{2}'
        when has_history and answered > 0 then array[1 + get_byte(dice, 14) % 20, 1 + get_byte(dice, 15) % 20]
        else '{}'
    end,
    case
        when n = 0 then '{1,2,3}'
        when has_history then array[1 + get_byte(dice, 16) % 12, 1 + (get_byte(dice, 16) + 5) % 12]
        else '{}'
    end,
    case
        when n = 0 then '{travel,cooking}'
        else array(
            select distinct interests[1 + (get_byte(dice, 17) + 3 * place) % array_length(interests, 1)]
            from generate_series(1, get_byte(dice, 18) % 4) as place
        )
    end
from drawn cross join named
