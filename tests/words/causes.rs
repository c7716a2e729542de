//! The table of every error, every warning and every repeated failure, each with the test that raises it, or the reason
//! why no test does.
//!
//! This file has the errors of `media` and the texts of the log; `variants` has the other errors.
//!
//! Does not: raise errors; the tests do, those named `row_` in the other files of this program.

use std::collections::BTreeSet;

use crate::sources::{keys, tests};
use crate::variants::{JOBS, PEERS, PROGRAM};

/// How a text is proven to have a cause.
pub(crate) enum Cause {
    /// The test with this name raises it. Tests of this program are named `row_`.
    Test(&'static str),
    /// No test raises it, for this reason.
    Reason(&'static str),
}

use Cause::{Reason, Test};

const MEDIA: &[(&str, Cause)] = &[
    ("MediaError::Gstreamer", Reason("needs a broken installation of GStreamer")),
    ("MediaError::MissingElement", Test("row_missing_and_unknown_encoders")),
    ("MediaError::UnknownEncoder", Test("row_missing_and_unknown_encoders")),
    ("MediaError::NoEncoder", Reason("needs a computer without a software encoder")),
    ("MediaError::Encoder", Test("an_encoder_that_stops_silently_is_replaced_after_two_failures")),
    ("MediaError::Stalled", Test("a_camera_that_stops_silently_is_noticed")),
    ("MediaError::NoPictures", Test("row_h264_without_its_parameter_sets")),
    ("MediaError::NotOpened", Test("video_is_sent_without_sound_if_the_microphone_hangs")),
    ("MediaError::NoSuchFile", Test("row_files_that_hold_no_video")),
    ("MediaError::NoCamera", Test("auto_tries_the_camera_port_first_and_names_each_failure")),
    ("MediaError::SeveralDevices", Reason("needs two cameras; unit tests cover this error")),
    ("MediaError::Unreachable", Test("row_a_missing_network_camera")),
    (
        "MediaError::Unauthorized",
        Test("row_a_camera_that_wants_a_credential_and_one_that_refuses_it"),
    ),
    (
        "MediaError::Distrusted",
        Test("the_error_for_a_self_signed_certificate_shows_the_fingerprint_to_pin"),
    ),
    ("MediaError::PinChanged", Test("a_new_pin_for_a_camera_with_a_tls_session_needs_a_restart")),
    ("MediaError::Pin", Reason("needs a system on which no file can be created")),
    ("MediaError::NoTls", Test("if_glib_lacks_tls_the_error_names_the_package")),
    ("MediaError::Refused", Test("row_a_camera_that_refuses")),
    ("MediaError::NoTcp", Test("row_a_camera_without_tcp_or_video_or_h264")),
    ("MediaError::NotH264", Test("row_a_camera_without_tcp_or_video_or_h264")),
    (
        "MediaError::Credential",
        Test("row_a_camera_that_wants_a_credential_and_one_that_refuses_it"),
    ),
    ("MediaError::StreamEnded", Test("row_a_pipeline_that_ends_is_not_called_a_camera")),
    ("MediaError::NoSuchDevice", Test("row_devices_that_do_not_work")),
    ("MediaError::NotACamera", Test("row_devices_that_do_not_work")),
    (
        "MediaError::Denied",
        Reason("tests in containers run as root, who has access to every device"),
    ),
    ("MediaError::NoAnswer", Test("opening_a_camera_that_hangs_fails_in_time")),
    ("MediaError::Busy", Reason("needs a camera that another program uses")),
    (
        "MediaError::NotOffered",
        Reason("needs a camera with one format; unit tests cover this error"),
    ),
    ("MediaError::Fragment", Test("row_fragments_that_do_not_work")),
    (
        "MediaError::UnusableCaps",
        Reason("the caps filter after a fragment refuses other formats first"),
    ),
    ("MediaError::Mask", Test("a_picture_that_cannot_be_masked_ends_the_capture")),
    ("MediaError::NoDecoder", Test("row_a_format_that_nothing_decodes")),
    ("MediaError::NoVideo", Test("row_files_that_hold_no_video")),
    ("MediaError::UnknownInput", Test("row_files_that_hold_no_video")),
    ("MediaError::Decode", Test("row_a_film_that_is_cut_off_cannot_be_decoded")),
    ("MediaError::NoFrames", Test("row_fragments_that_do_not_work")),
    ("MediaError::NoSnapshot", Test("bytes_that_are_not_h264_give_no_snapshot")),
    ("MediaError::Element", Test("row_fragments_that_do_not_work")),
    ("MediaError::Write", Test("a_full_disk_at_the_end_is_an_error")),
    ("MediaError::NoReader", Test("after_a_viewer_leaves_the_next_one_gets_whole_segments")),
    ("MediaError::NotAnOutput", Test("a_file_without_mpegts_is_not_changed")),
    (
        "MediaError::OutputFailed",
        Test("an_rtmp_output_waits_for_its_server_and_waits_again_after_the_server_ends"),
    ),
    (
        "MediaError::OutputStalled",
        Reason("needs a server that answers and then reads nothing for 10 s"),
    ),
    ("MediaError::OutputAddress", Test("an_output_that_cannot_be_opened_names_the_missing_part")),
    ("MediaError::NoDisplay", Reason("a developer's computer has a display")),
    ("MediaError::OutputUnchecked", Reason("needs a pinned camera and a TLS server at once")),
    (
        "MediaError::Store",
        Test("a_store_that_is_not_a_directory_is_one_warning_and_the_job_continues"),
    ),
    ("MediaError::Thread", Reason("needs a system that cannot start a thread")),
];

/// Log texts that contain only the text of another error.
const HANDED_ON: &[(&str, Cause)] = &[
    ("{}", Reason("the text of an error that has a row")),
    ("{line}", Reason("the text of a failure that has a row, throttled")),
    ("{host}: {what}", Test("refused_parameters_are_logged_and_shown_in_the_status")),
    ("{problem}", Test("a_key_of_an_earlier_version_is_ignored_in_each_place_with_a_warning")),
    ("{what}", Test("row_h264_of_a_fragment_that_is_not_fit_to_pass_through")),
    (
        "${NOTIFY_SOCKET}: {error}",
        Reason("needs a service manager that gives a wrong path of its socket"),
    ),
];

const LOGGED: &[(&str, Cause)] = &[
    // MQTT
    ("MQTT: {error}", Test("a_wrong_password_is_refused_and_a_new_one_is_used_without_a_restart")),
    (
        "{broker} is on the Internet, and the connection has no TLS: everyone on the path can read the password, watch and send commands",
        Reason("needs a broker on the Internet"),
    ),
    (
        "MQTT: the broker does not let this user read {}: commands do not arrive; check its access list",
        Test("a_broker_that_denies_the_commands_is_named"),
    ),
    // Media
    (
        "the source gives no video: {reason}",
        Test("row_a_pipeline_that_ends_is_not_called_a_camera"),
    ),
    ("the slate could not be opened: {}", Reason("needs a test picture that fails")),
    ("no sound: {error}", Test("video_is_sent_without_sound_if_the_microphone_is_missing")),
    ("no sound any more: {error}", Test("video_continues_without_sound_if_the_microphone_fails")),
    (
        "no sound: the microphone has sent no audio for {after:?}",
        Test("sound_returns_after_a_microphone_stalled"),
    ),
    (
        "the file's sound is not sent: no decoder for {name} is installed",
        Reason("needs a codec that this computer can encode but not decode"),
    ),
    (
        "no sound any more: the microphone ended its stream",
        Reason("no microphone is known to end its stream"),
    ),
    (
        "the pipeline does not stop within {PIPELINE_STOP_TIME:?}; it ends with the process",
        Test("opening_a_camera_that_hangs_fails_in_time"),
    ),
    (
        "output {}: its pipeline does not stop within {PIPELINE_STOP_TIME:?}",
        Reason("needs a driver or server that blocks a pipeline"),
    ),
    ("input is not written: {error}", Reason("needs a system that cannot start a thread")),
    ("input is not stored: {error}", Reason("needs a system that cannot start a thread")),
    (
        "the store's disk is too slow: the last of the input is not stored",
        Reason("needs a disk that stalls"),
    ),
    (
        "{name}: the rest of the returned video is not taken within {limit:?}",
        Test("an_output_that_stalls_loses_whole_segments"),
    ),
    (
        "{dropped} bytes of returned video were not written",
        Test("video_is_lost_while_the_disk_is_full_and_written_again_once_it_has_room"),
    ),
    // The job
    (
        "{place}the job was lost: {loss}",
        Test("a_lost_job_continues_on_another_orchestrator_with_the_same_parameters"),
    ),
    (
        "not all parts of the job ended in time: aborting them",
        Reason("raised in the fault table: orchestrators that hang at the end"),
    ),
    ("{host}: no video gets through", Reason("raised in the table of links: links that break")),
    (
        "the live job keeps its parameters: {why}; the next job gets the new ones",
        Reason("needs a control channel that is full or ended at the moment of a reload"),
    ),
    (
        "the job's app has not accepted the parameters: {}; the next job gets them",
        Reason("the refusals of an update are tested with the runner's calls"),
    ),
    // Payment
    (
        "payment.max-price is not set: any price is paid; this orchestrator asks {price}",
        Test("refused_parameters_are_not_sent_again"),
    ),
    (
        "payment failed, retrying: {}",
        Reason("the agent never logs this; only other programs with the gateway's library do"),
    ),
    (
        "payment failed: {why}; {}retrying",
        Test("video_continues_without_a_gap_while_the_signer_is_down"),
    ),
    (
        "payment failed during the start, retrying: {}",
        Test("a_start_is_given_up_and_its_session_stopped_if_a_payment_fails_permanently"),
    ),
    (
        "{}: a session could not be stopped; it costs money until it is stopped or expires",
        Test("a_stop_is_tried_twice_and_404_means_that_the_session_has_ended"),
    ),
    (
        "{}: too many jobs wait to be ended; the oldest one, at this peer, ends by its own timeout",
        Reason(
            "needs more unconfirmed ends than the list holds; unit tests of the list cover this warning",
        ),
    ),
    (
        "{}: another agent uses this state directory; jobs to end are kept in memory only: set state.directory",
        Test("a_second_agent_with_the_same_state_directory_does_not_end_the_job_of_the_first"),
    ),
    (
        "{}: another agent uses this file; what is spent is counted in memory only: set state.directory",
        Test("a_second_process_counts_what_the_first_has_written_and_writes_nothing"),
    ),
    (
        "{}: {error}; what is spent is counted in memory only",
        Test("a_file_that_cannot_be_used_leaves_the_purse_in_memory"),
    ),
    (
        "{}: {malformed} malformed lines are not counted",
        Test("a_malformed_line_is_reported_and_the_others_count"),
    ),
    (
        "{} in the state directory cannot be written ({error}); what is spent is counted in memory until it can",
        Reason("needs a disk that fills up: the ledger's tests play a failed write"),
    ),
    (
        "budgets are counted in memory only, so a restart begins them again: set state.directory",
        Reason("every agent of the tests has a state directory"),
    ),
    (
        "80 % of the budget of {budget} is spent; {left} are left",
        Test("a_price_that_spends_the_budget_early_is_said_early"),
    ),
    (
        "the budget of {budget} is spent: no job runs until the next period or `livepeer-edge budget add`",
        Test("a_spent_budget_ends_the_job_until_an_addition_also_over_a_restart"),
    ),
    (
        "at {rate} an hour, the budget of {budget} lasts until {until}",
        Test("a_price_that_spends_the_budget_early_is_said_early"),
    ),
    // Peers
    ("a task for the discovery of runners failed: {error}", Reason("a task that panics")),
    ("a request to an orchestrator failed: {error}", Reason("a task that panics")),
    (
        "{peer}: {} of its runners are ignored; the URL of the first one {stray}",
        Test("orchestrators_without_listed_runners_are_asked_for_their_runners"),
    ),
    (
        "{source}: {count} of its URLs are ignored; the first one {stray}",
        Test("plain_http_is_refused_to_other_computers_unless_allowed"),
    ),
    (
        "discovery failed; using the cached list",
        Test("the_last_list_is_used_while_its_endpoint_is_down"),
    ),
    (
        "trust = \"insecure\": certificates of orchestrators are NOT checked; anybody on the network path can read and change the video",
        Test("disabled_certificate_checks_are_a_warning"),
    ),
    (
        "{peer}: certificate changed from {before} to {seen}; pinned the new one",
        Test("a_changed_certificate_is_followed_with_a_warning_also_while_a_job_runs"),
    ),
    (
        "{peer}: certificate changed from one that an authority signed to {seen}, which no known authority signed; pinned the new one",
        Reason("needs an authority that the system trusts"),
    ),
    // Events
    (
        "no more events on standard output: {error}",
        Reason("needs a reader that closes standard output"),
    ),
    (
        "{path}: events are lost: {error}",
        Test("an_event_that_cannot_be_written_is_lost_and_a_foreign_file_is_left_alone"),
    ),
    ("events.exec: {}", Test("a_program_that_fails_or_reads_nothing_does_not_affect_later_events")),
    (
        "events.webhook: refused: {why}",
        Test("an_event_that_is_refused_is_dropped_and_a_redirect_is_not_followed"),
    ),
    (
        "events.webhook: not delivered: {why}",
        Test("an_event_is_posted_again_until_the_server_accepts_it"),
    ),
    (
        "events.webhook is not used: {}",
        Reason("needs a secret that cannot be read: `row_secrets_that_cannot_be_read` tests it"),
    ),
    ("{key} is not used: no thread: {error}", Reason("needs a system that cannot start a thread")),
    // The program
    (
        "clock not synchronised: certificates are not valid by it; waiting up to {} s for synchronisation",
        Reason("raised in the fault table: clocks that are wrong at boot"),
    ),
    (
        "clock still not synchronised: continuing without it for {}; their certificates are accepted unless they expired before this program was built",
        Reason("raised in the fault table: clocks that are wrong at boot"),
    ),
    (
        "{}, which worked last, is refused too: {}",
        Test("the_start_fails_if_the_file_and_the_saved_configuration_are_both_refused"),
    ),
    (
        "the configuration is refused: {}; the one that worked last runs in its place: {}",
        Test("the_last_working_configuration_runs_in_place_of_a_refused_one"),
    ),
    (
        "SIGHUP: the old credential stays: {}",
        Reason("needs a credential that disappears while the program runs"),
    ),
    (
        "SIGHUP: the previous configuration stays: {}",
        Test("a_reload_restarts_only_changed_parts_and_a_wrong_configuration_none"),
    ),
    (
        "{count} lines of this log are lost: standard error was not read",
        Test("a_log_pipe_that_nobody_reads_does_not_block_the_job"),
    ),
    (
        "{}: malformed {} ({why}); renamed to {}",
        Test("corrupt_files_are_renamed_and_created_again"),
    ),
    (
        "{}: {} {failure}; continuing without it",
        Test("an_unwritable_state_directory_is_a_warning_once_for_each_file"),
    ),
];

#[test]
fn every_error_and_warning_has_a_cause() {
    let (found, tests) = (keys(), tests());
    let table = || [MEDIA, PEERS, JOBS, PROGRAM, HANDED_ON, LOGGED].into_iter().flatten();
    let named: BTreeSet<String> = table().map(|(key, _)| (*key).to_owned()).collect();
    let without: Vec<_> = found.difference(&named).collect();
    assert!(without.is_empty(), "errors or warnings without a row in the table: {without:#?}");
    let gone: Vec<_> = named.difference(&found).collect();
    assert!(gone.is_empty(), "rows of the table that are not in the sources: {gone:#?}");
    for (key, cause) in table() {
        match cause {
            Test(name) => assert!(tests.contains(*name), "{key}: no test {name}"),
            Reason(why) => assert!(!why.is_empty(), "{key}: no reason"),
        }
    }
}
