"""The vendors' official clients against the simulator: what they read from good answers, and which
of their own exceptions they raise at bad ones.

Arguments: the address of the simulator, then the name of a check. Prints nothing when all is well.
The tests in tests/provider/official_clients.rs start the simulator with the faults that the checks
count on: the first call is one too many, the second meets a vendor in trouble, all others are met
as they deserve.
"""

import sys

URL = sys.argv[1]
QUESTION = "Say hello."


def raises(kind, call):
    """The exception of exactly this class that the call raises."""
    try:
        call()
    except kind as error:
        assert type(error) is kind, f"{type(error)} instead of {kind}"
        return error
    raise AssertionError(f"{kind} was not raised")


def openai():
    import openai

    client = openai.OpenAI(api_key="sim-key", base_url=URL + "/v1", max_retries=0)
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": QUESTION}]

    def ask(**more):
        wanted = {"model": "gpt-6-luna", "messages": messages, "max_completion_tokens": 900, "reasoning_effort": "none"}
        return client.chat.completions.create(**{**wanted, **more})

    limited = raises(openai.RateLimitError, ask)
    assert limited.response.headers["retry-after"] == "2" and limited.code == "rate_limit_exceeded", limited
    raises(openai.InternalServerError, ask)
    answer = ask()
    assert answer.choices[0].finish_reason == "stop" and answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer._request_id.startswith("req_")
    short = ask(max_completion_tokens=5)
    assert short.choices[0].finish_reason == "length" and short.usage.completion_tokens <= 5
    response = client.responses.create(model="gpt-6-luna", input=QUESTION, instructions="Be brief.",
                                       max_output_tokens=900, reasoning={"effort": "none"}, store=False)
    assert response.status == "completed" and response.output_text == answer.choices[0].message.content
    assert "gpt-6-luna" in [model.id for model in client.models.list()]
    assert client.models.retrieve("gpt-6-luna").id == "gpt-6-luna"
    gone = raises(openai.NotFoundError, lambda: ask(model="gpt-3.5-turbo"))
    assert gone.code == "model_not_found"
    raises(openai.BadRequestError, lambda: ask(max_completion_tokens=openai.omit, max_tokens=900))
    raises(openai.BadRequestError, lambda: ask(reasoning_effort="low", temperature=1.0))
    stranger = openai.OpenAI(api_key="refused", base_url=URL + "/v1", max_retries=0)
    assert raises(openai.AuthenticationError, stranger.models.list).code == "invalid_api_key"


def anthropic():
    import anthropic

    client = anthropic.Anthropic(auth_token="sim-key", base_url=URL, max_retries=0)

    def ask(**more):
        wanted = {"model": "claude-haiku-5-5", "max_tokens": 900, "system": "Be brief.",
                  "messages": [{"role": "user", "content": QUESTION}], "thinking": {"type": "disabled"}}
        return client.messages.create(**{**wanted, **more})

    limited = raises(anthropic.RateLimitError, ask)
    assert limited.response.headers["retry-after"] == "2" and limited.body["error"]["type"] == "rate_limit_error"
    assert raises(anthropic._exceptions.OverloadedError, ask).status_code == 529
    answer = ask()
    assert answer.stop_reason == "end_turn" and [block.type for block in answer.content] == ["text"]
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    thinking = ask(thinking=anthropic.omit)
    assert [block.type for block in thinking.content] == ["thinking", "text"]
    assert thinking.usage.output_tokens > answer.usage.output_tokens
    assert "claude-haiku-5-5" in [model.id for model in client.models.list()]
    raises(anthropic.NotFoundError, lambda: ask(model="claude-3-5-haiku-20241022"))
    refused = raises(anthropic.BadRequestError, lambda: ask(extra_body={"temperature": 1.0}))
    assert "Extra inputs are not permitted" in str(refused), refused
    stranger = anthropic.Anthropic(api_key="refused", base_url=URL, max_retries=0)
    raises(anthropic.AuthenticationError, stranger.models.list)


def gemini():
    from google import genai
    from google.genai import errors, types

    def client(key):
        return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=URL))

    ours = client("sim-key")

    def ask(model="gemini-3.5-flash-lite", **config):
        wanted = types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=900, **config)
        return ours.models.generate_content(model=model, contents=QUESTION, config=wanted)

    limited = raises(errors.ClientError, ask)
    assert (limited.code, limited.status) == (429, "RESOURCE_EXHAUSTED"), limited
    assert raises(errors.ServerError, ask).code == 503
    answer = ask()
    assert answer.text and answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count > 0
    high = ask(thinking_config=types.ThinkingConfig(thinking_level="HIGH"))
    assert high.usage_metadata.thoughts_token_count > 0
    raises(errors.ClientError, lambda: ask(thinking_config=types.ThinkingConfig(thinking_level="LOW", thinking_budget=5)))
    assert "models/gemini-3.5-flash-lite" in [model.name for model in ours.models.list()]
    assert raises(errors.ClientError, lambda: ask(model="gemini-1.5-flash")).status == "NOT_FOUND"
    stranger = client("refused")
    refused = raises(errors.ClientError, lambda: list(stranger.models.list()))
    assert refused.code == 400 and "API_KEY_INVALID" in str(refused.details)


def google():
    from google.api_core import exceptions
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import texttospeech

    def client(key):
        options = ClientOptions(api_endpoint=URL, api_key=key)
        if key is None:
            return texttospeech.TextToSpeechClient(transport="rest", client_options=ClientOptions(api_endpoint=URL),
                                                   credentials=AnonymousCredentials())
        return texttospeech.TextToSpeechClient(transport="rest", client_options=options)

    ours = client("sim-key")

    def speak(text="Good morning.", voice="en-US-Neural2-F", client=ours):
        return client.synthesize_speech(
            input=texttospeech.SynthesisInput(text=text),
            voice=texttospeech.VoiceSelectionParams(language_code="en-US", name=voice),
            audio_config=texttospeech.AudioConfig(audio_encoding="MP3", sample_rate_hertz=24000), retry=None)

    raises(exceptions.TooManyRequests, speak)
    raises(exceptions.InternalServerError, speak)
    assert speak().audio_content[0] == 0xFF
    assert len(speak("word " * 300).audio_content) > 50 * len(speak().audio_content)
    assert "en-US-Neural2-F" in [voice.name for voice in ours.list_voices().voices]
    too_long = raises(exceptions.BadRequest, lambda: speak("a" * 5001))
    assert "5000 bytes" in str(too_long), too_long
    raises(exceptions.BadRequest, lambda: speak(voice="en-US-Nobody"))
    raises(exceptions.Forbidden, lambda: speak(client=client(None)))
    raises(exceptions.BadRequest, lambda: speak(client=client("refused")))


def polly():
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    def client(secret, key="AKIDSIMULATOR"):
        once = Config(retries={"total_max_attempts": 1})
        return boto3.client("polly", region_name="us-east-1", endpoint_url=URL, config=once,
                            aws_access_key_id=key, aws_secret_access_key=secret)

    ours = client("simulator-secret")

    def speak(text="Good morning.", **more):
        wanted = {"Text": text, "OutputFormat": "mp3", "VoiceId": "Joanna", "Engine": "neural", "SampleRate": "24000"}
        return ours.synthesize_speech(**{**wanted, **more})

    def code(error):
        return error.response["Error"]["Code"]

    try:
        speak()
        raise AssertionError("not throttled")
    except ClientError as error:
        assert code(error) == "ThrottlingException", error
    raises(ours.exceptions.ServiceFailureException, speak)
    answer = speak()
    assert answer["ContentType"] == "audio/mpeg" and int(answer["RequestCharacters"]) == 13
    assert answer["AudioStream"].read()[0] == 0xFF
    ssml = speak("<speak>Good <break time='1s'/>morning &amp; evening.</speak>", TextType="ssml")
    assert int(ssml["RequestCharacters"]) == 23, ssml["RequestCharacters"]
    voices = ours.describe_voices(Engine="neural", LanguageCode="ja-JP")["Voices"]
    assert [voice["Id"] for voice in voices] == ["Takumi", "Kazuha", "Tomoko"], voices
    raises(ours.exceptions.TextLengthExceededException, lambda: speak("a" * 3001))
    raises(ours.exceptions.InvalidSsmlException, lambda: speak("<speak>Fish & chips</speak>", TextType="ssml"))
    raises(ours.exceptions.EngineNotSupportedException, lambda: speak(VoiceId="Mizuki"))
    raises(ours.exceptions.InvalidSampleRateException, lambda: speak(SampleRate="12345"))
    for wrong, expected in [(client("another"), "InvalidSignatureException"),
                            (client("simulator-secret", "AKIDSTRANGER"), "UnrecognizedClientException")]:
        assert code(raises(ClientError, wrong.describe_voices)) == expected


{"openai": openai, "anthropic": anthropic, "gemini": gemini, "google": google, "polly": polly}[sys.argv[2]]()
