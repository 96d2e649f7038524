// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {ClaimHolder} from "./ClaimHolder.sol";
import {Executor} from "./Executor.sol";
import {IBatchExecutor} from "./interfaces/IBatchExecutor.sol";
import {IERC734} from "./interfaces/IERC734.sol";
import {IERC735} from "./interfaces/IERC735.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {Ids} from "./libraries/Ids.sol";
import {KeyTypes, Purposes} from "./libraries/Purposes.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title What a holder's identity and the issuing identity have in common
abstract contract IdentityBase is Executor, ClaimHolder {
    /// @dev ONCHAINID's IIdentity adds one function to ERC-734 and ERC-735.
    bytes4 private constant ONCHAINID_IDENTITY = IIdentity.isClaimValid.selector;

    /// @inheritdoc IIdentity
    function initialize(address) external pure {
        revert InitialKeyAlreadySetup();
    }

    /// @inheritdoc IIdentity
    function getRecoveredAddress(bytes calldata sig, bytes32 dataHash) external pure returns (address) {
        return Signatures.recoverFull(dataHash, sig);
    }

    /// @inheritdoc IIdentity
    function version() external pure returns (string memory) {
        return "1.0.0";
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) public view virtual returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IERC734).interfaceId
            || interfaceId == type(IERC735).interfaceId || interfaceId == ONCHAINID_IDENTITY
            || interfaceId == type(IBatchExecutor).interfaceId || interfaceId == type(IIdentity).interfaceId;
    }

    /// @dev The form that ONCHAINID knows.
    function _isValid(address identity, uint256 topic, bytes calldata signature, bytes calldata data)
        internal
        view
        virtual
        override
        returns (bool)
    {
        address signer = Signatures.recoverFull(Signatures.legacyDigest(identity, topic, data), signature);
        return signer != address(0) && _mayActAs(Ids.keyOf(signer), Purposes.CLAIM, KeyTypes.ECDSA);
    }
}
