//! The table: every error, every warning and every repeated failure, each with the test that raises it, or the reason
//! why no test does.
//!
//! Here are the errors of media and the texts of the log; `variants` has the other errors.
//!
//! Does not: raise anything; the rows are in the files beside this one.

use std::collections::BTreeSet;

use crate::sources::{keys, tests};
use crate::variants::{JOBS, PEERS, PROGRAM};

/// How the cause of a text is proven.
pub(crate) enum Cause {
    /// This test raises it; rows of this program begin with `row_`.
    Test(&'static str),
    /// No test raises it, for this reason.
    Reason(&'static str),
}

use Cause::{Reason, Test};

const MEDIA: &[(&str, Cause)] = &[
    ("MediaError::Gstreamer", Reason("needs a broken installation of GStreamer")),
    ("MediaError::MissingElement", Test("row_encoders_that_are_not_there")),
    ("MediaError::UnknownEncoder", Test("row_encoders_that_are_not_there")),
    ("MediaError::NoEncoder", Reason("needs a machine without a software encoder")),
    ("MediaError::Encoder", Test("an_encoder_that_stops_silently_is_replaced_after_two_failures")),
    ("MediaError::Stalled", Test("a_camera_that_stops_silently_is_noticed")),
    ("MediaError::NoPictures", Test("row_h264_without_its_parameter_sets")),
    ("MediaError::NotOpened", Test("a_microphone_that_hangs_costs_the_sound_only")),
    ("MediaError::NoSuchFile", Test("row_files_that_hold_no_video")),
    ("MediaError::NoCamera", Test("auto_takes_the_camera_port_first_and_names_each_failure")),
    ("MediaError::SeveralDevices", Reason("needs two cameras: its unit tests cover it")),
    ("MediaError::Unreachable", Test("row_a_camera_that_is_not_there")),
    (
        "MediaError::Unauthorized",
        Test("row_a_camera_that_wants_a_credential_and_one_that_refuses_it"),
    ),
    (
        "MediaError::Distrusted",
        Test("a_certificate_that_signs_itself_is_named_so_that_it_can_be_pinned"),
    ),
    ("MediaError::PinChanged", Test("another_pin_for_a_camera_that_is_trusted_needs_a_restart")),
    ("MediaError::Pin", Reason("needs a system on which no file can be created")),
    ("MediaError::NoTls", Test("where_glib_has_no_tls_the_package_is_named")),
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
    ("MediaError::Denied", Reason("root, who runs tests in containers, is denied nothing")),
    ("MediaError::NoAnswer", Test("opening_a_camera_that_hangs_fails_in_time")),
    ("MediaError::Busy", Reason("needs a camera that another program holds")),
    ("MediaError::NotOffered", Reason("needs a camera of one format: its unit tests cover it")),
    ("MediaError::Fragment", Test("row_fragments_that_do_not_work")),
    (
        "MediaError::UnusableCaps",
        Reason("the caps filter behind a fragment lets nothing else through"),
    ),
    ("MediaError::NoDecoder", Test("row_a_format_that_nothing_decodes")),
    ("MediaError::NoVideo", Test("row_files_that_hold_no_video")),
    ("MediaError::UnknownInput", Test("row_files_that_hold_no_video")),
    ("MediaError::Decode", Test("row_a_film_that_is_cut_off_cannot_be_decoded")),
    ("MediaError::NoFrames", Test("row_fragments_that_do_not_work")),
    ("MediaError::NoSnapshot", Test("bytes_that_are_not_h264_give_no_snapshot")),
    ("MediaError::Element", Test("row_fragments_that_do_not_work")),
    ("MediaError::Write", Test("an_output_that_is_full_at_the_end_is_an_error")),
    ("MediaError::NoReader", Test("a_viewer_that_leaves_is_followed_by_the_next_one")),
    ("MediaError::NotAnOutput", Test("a_file_that_is_not_a_transport_stream_is_left_alone")),
    (
        "MediaError::OutputFailed",
        Test("an_rtmp_server_is_waited_for_and_waited_for_again_when_it_dies"),
    ),
    (
        "MediaError::OutputStalled",
        Reason("needs a server that answers and then reads nothing for 10 s"),
    ),
    ("MediaError::OutputAddress", Test("what_an_output_lacks_is_named")),
    ("MediaError::NoDisplay", Reason("a developer's machine has a display")),
    ("MediaError::OutputUnchecked", Reason("needs a pinned camera and a TLS server at once")),
    (
        "MediaError::Store",
        Test("a_store_that_is_not_a_directory_is_a_warning_once_and_the_job_goes_on"),
    ),
    ("MediaError::Thread", Reason("needs a system that has no thread left")),
];

/// Texts that only repeat the text of another error.
const HANDED_ON: &[(&str, Cause)] = &[
    ("{}", Reason("an error's own text")),
    ("{line}", Reason("a failure's own text, throttled")),
    ("{host}: {what}", Test("refused_parameters_are_a_warning_and_stay_in_the_status")),
    ("{problem}", Test("a_key_of_an_earlier_version_is_ignored_wherever_it_stands")),
    ("{what}", Test("row_h264_of_a_fragment_that_is_not_fit_to_pass_through")),
    ("${NOTIFY_SOCKET}: {error}", Reason("needs a service manager that names no socket")),
];

const LOGGED: &[(&str, Cause)] = &[
    // MQTT
    ("MQTT: {error}", Test("a_wrong_password_is_refused_and_a_new_one_is_used_without_a_restart")),
    (
        "{broker} is on the Internet, and the connection has no TLS: everyone on the path can read the password, watch and send commands",
        Reason("needs a broker on the Internet"),
    ),
    // Media
    (
        "the source gives no video: {reason}",
        Test("row_a_pipeline_that_ends_is_not_called_a_camera"),
    ),
    ("the slate could not be opened: {}", Reason("needs a test picture that fails")),
    ("no sound: {error}", Test("a_microphone_that_is_not_there_costs_the_sound_only")),
    ("no sound any more: {error}", Test("a_microphone_that_dies_costs_the_sound_only")),
    (
        "no sound: the microphone has sent no audio for {after:?}",
        Test("sound_comes_back_from_a_microphone_that_stalled"),
    ),
    (
        "the file's sound is not sent: no decoder for {name} is installed",
        Reason("needs a codec that this machine can write and not read"),
    ),
    (
        "no sound any more: the microphone ended its stream",
        Reason("no microphone was seen to do so"),
    ),
    (
        "the pipeline does not stop within {PIPELINE_STOP_TIME:?}; it ends with the process",
        Test("opening_a_camera_that_hangs_fails_in_time"),
    ),
    (
        "output {}: its pipeline does not stop within {PIPELINE_STOP_TIME:?}",
        Reason("needs a driver or server that holds a pipeline up"),
    ),
    ("input is not written: {error}", Reason("needs a system that has no thread left")),
    ("input is not stored: {error}", Reason("needs a system that has no thread left")),
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
        Test("a_full_disk_costs_video_and_is_written_again_once_it_has_room"),
    ),
    // The job
    (
        "{place}the job was lost: {loss}",
        Test("a_lost_job_goes_on_at_the_spare_with_the_same_parameters"),
    ),
    (
        "not all parts of the job ended in time: aborting them",
        Reason("played by the fault table: orchestrators that hang at the end"),
    ),
    ("{host}: no video gets through", Reason("played by the table of links: links that break")),
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
        Reason("only a program that uses the library without the agent logs it"),
    ),
    ("payment failed: {why}; {}retrying", Test("a_signer_that_is_down_leaves_no_gap_in_the_video")),
    (
        "payment failed during the start, retrying: {}",
        Test("a_start_whose_payment_fails_for_good_is_given_up_and_stopped"),
    ),
    (
        "{}: a session could not be stopped; it costs money until it is stopped or expires",
        Test("a_stop_is_tried_twice_and_a_session_that_is_gone_is_stopped"),
    ),
    (
        "{}: too many jobs wait to be ended; the oldest one, at this peer, ends by its own timeout",
        Reason("needs more unconfirmed ends than the list holds: its unit tests cover it"),
    ),
    (
        "{}: another agent uses this state directory; jobs to end are kept in memory only: set state.directory",
        Test("a_second_agent_with_the_same_state_directory_leaves_the_job_of_the_first_alone"),
    ),
    // Peers
    ("a task for the discovery of runners failed: {error}", Reason("a task that panics")),
    ("a request to an orchestrator failed: {error}", Reason("a task that panics")),
    (
        "{peer}: {} of its runners are ignored; the URL of the first one {stray}",
        Test("orchestrators_are_asked_for_the_runners_that_a_list_does_not_name"),
    ),
    (
        "{source}: {count} of its URLs are ignored; the first one {stray}",
        Test("plain_http_stays_on_this_machine_unless_allowed"),
    ),
    (
        "discovery failed; using the cached list",
        Test("the_last_good_list_serves_while_its_endpoint_is_down"),
    ),
    (
        "trust = \"insecure\": certificates of orchestrators are NOT checked; anybody on the network path can read and change the video",
        Test("trust_without_checks_is_a_warning"),
    ),
    (
        "{peer}: certificate changed from {before} to {seen}; pinned the new one",
        Test("a_change_is_followed_with_a_warning_also_while_a_job_runs"),
    ),
    (
        "{peer}: certificate changed from one that an authority signed to {seen}, which no known authority signed; pinned the new one",
        Reason("needs an authority of this system"),
    ),
    // Events
    (
        "no more events on standard output: {error}",
        Reason("needs a reader of standard output that leaves"),
    ),
    (
        "{path}: events are lost: {error}",
        Test("an_event_that_cannot_be_written_is_lost_and_a_foreign_file_is_left_alone"),
    ),
    ("events.exec: {}", Test("a_program_that_reads_nothing_or_fails_costs_only_itself")),
    (
        "events.webhook: refused: {why}",
        Test("an_event_that_is_refused_is_dropped_and_a_redirect_is_not_followed"),
    ),
    (
        "events.webhook: not delivered: {why}",
        Test("an_event_is_posted_again_until_the_server_takes_it"),
    ),
    (
        "events.webhook is not used: {}",
        Reason("needs a secret that cannot be read: the reader of secrets tests it"),
    ),
    ("{key} is not used: no thread: {error}", Reason("needs a system that has no thread left")),
    // The program
    (
        "clock not synchronised: certificates are not valid by it; waiting up to {} s for synchronisation",
        Reason("played by the fault table: clocks that are wrong at boot"),
    ),
    (
        "clock still not synchronised: continuing without it for {}; their certificates are accepted unless they expired before this program was built",
        Reason("played by the fault table: clocks that are wrong at boot"),
    ),
    (
        "{}, which worked last, is refused too: {}",
        Test("a_refused_file_with_a_refused_kept_configuration_ends_the_start"),
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
        Test("a_new_configuration_restarts_the_changed_parts_and_a_wrong_one_none"),
    ),
    (
        "{count} lines of this log are lost: standard error was not read",
        Test("a_reader_of_the_log_that_stalls_does_not_hold_up_the_job"),
    ),
    ("{}: malformed {} ({why}); renamed to {}", Test("torn_files_are_set_aside_and_created_again")),
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
    assert!(without.is_empty(), "without a row or a reason: {without:#?}");
    let gone: Vec<_> = named.difference(&found).collect();
    assert!(gone.is_empty(), "in the table, and not in the sources: {gone:#?}");
    for (key, cause) in table() {
        match cause {
            Test(name) => assert!(tests.contains(*name), "{key}: no test {name}"),
            Reason(why) => assert!(!why.is_empty(), "{key}: no reason"),
        }
    }
}
